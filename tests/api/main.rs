//! The tests, from outside: real servers on ports of their own, a real Redis, and what a client sees.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it stands")]

mod app;
mod handmade;
mod proxy;
mod raw;
mod redis_server;
mod runner;

mod authenticate;
mod command_line;
mod current_user;
mod embedded_store;
mod forged_tokens;
mod layering;
mod old_client;
mod outage;
mod redis_start;
mod redis_store;
mod refresh_access_token;
mod remove_access_token;
mod replicas;
mod settings;
mod shutdown;
mod sign_up;
mod store_contract;

fn main() -> std::process::ExitCode {
    let suites = [
        old_client::tests(),
        sign_up::tests(),
        authenticate::tests(),
        current_user::tests(),
        refresh_access_token::tests(),
        remove_access_token::tests(),
        forged_tokens::tests(),
        settings::tests(),
        command_line::tests(),
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
