//! The tests, from outside: real servers on ports of their own, a real Redis, and what a client sees.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it stands")]

mod app;
mod dns;
mod load;
mod raw;
mod redis_server;
mod runner;

mod backup;
mod containers;
mod load_balancer;
mod sign_up;

fn main() -> std::process::ExitCode {
    let suites = [backup::tests(), load_balancer::tests(), sign_up::tests(), containers::tests()];
    runner::run(suites.into_iter().flatten().collect())
}
