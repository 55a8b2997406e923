//! The tests, from outside: real servers on ports of their own, a real Redis, and what a client sees.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it stands")]

mod app;
mod raw;
mod redis_server;
mod runner;
mod session;

mod accounts;
mod races;
mod renewal;
mod rotation;
mod sessions;
mod sign_up;

fn main() -> std::process::ExitCode {
    let suites =
        [accounts::tests(), races::tests(), renewal::tests(), rotation::tests(), sessions::tests(), sign_up::tests()];
    runner::run(suites.into_iter().flatten().collect())
}
