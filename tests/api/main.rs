//! The tests, from outside: real servers on ports of their own, a real Redis, and what a client sees.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it stands")]

mod app;
mod raw;
mod redis_server;
mod runner;

mod bodies;
mod connections;
mod envelope;
mod hashing;
mod json;
mod log_secrets;
mod logging;
mod requests;
mod sign_up;

fn main() -> std::process::ExitCode {
    let suites = [
        sign_up::tests(),
        bodies::tests(),
        connections::tests(),
        envelope::tests(),
        hashing::tests(),
        json::tests(),
        log_secrets::tests(),
        requests::tests(),
        logging::tests(),
    ];
    runner::run(suites.into_iter().flatten().collect())
}
