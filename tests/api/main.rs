//! The tests, from outside: real servers on ports of their own, a real Redis, and what a client sees.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it stands")]

mod app;
mod proxy;
mod raw;
mod redis_server;
mod runner;

mod embedded_store;
mod layering;
mod outage;
mod redis_start;
mod redis_store;
mod replicas;
mod shutdown;
mod sign_up;
mod store_contract;

fn main() -> std::process::ExitCode {
    let suites = [
        embedded_store::tests(),
        layering::tests(),
        outage::tests(),
        redis_start::tests(),
        redis_store::tests(),
        replicas::tests(),
        shutdown::tests(),
        sign_up::tests(),
        store_contract::tests(),
    ];
    runner::run(suites.into_iter().flatten().collect())
}
