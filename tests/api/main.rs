//! The tests, from outside: real servers on ports of their own, a real Redis, and what a client sees.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it stands")]

mod app;
mod dns;
mod handmade;
mod load;
mod proxy;
mod raw;
mod redis_server;
mod runner;
mod session;

mod accounts;
mod audit;
mod authenticate;
mod backup;
mod bodies;
mod command_line;
mod connections;
mod containers;
mod current_user;
mod documentation;
mod embedded_store;
mod envelope;
mod forged_tokens;
mod hashing;
mod json;
mod layering;
mod load_balancer;
mod log_secrets;
mod logging;
mod old_client;
mod outage;
mod proxies;
mod races;
mod redis_start;
mod redis_store;
mod refresh_access_token;
mod remove_access_token;
mod renewal;
mod replicas;
mod requests;
mod rotation;
mod sessions;
mod settings;
mod shutdown;
mod sign_up;
mod store_contract;
mod throttling;

fn main() -> std::process::ExitCode {
    let suites = [
        accounts::tests(),
        audit::tests(),
        authenticate::tests(),
        backup::tests(),
        bodies::tests(),
        command_line::tests(),
        connections::tests(),
        containers::tests(),
        current_user::tests(),
        documentation::tests(),
        embedded_store::tests(),
        envelope::tests(),
        forged_tokens::tests(),
        hashing::tests(),
        json::tests(),
        layering::tests(),
        load_balancer::tests(),
        log_secrets::tests(),
        logging::tests(),
        old_client::tests(),
        outage::tests(),
        proxies::tests(),
        races::tests(),
        redis_start::tests(),
        redis_store::tests(),
        refresh_access_token::tests(),
        remove_access_token::tests(),
        renewal::tests(),
        replicas::tests(),
        requests::tests(),
        rotation::tests(),
        sessions::tests(),
        settings::tests(),
        shutdown::tests(),
        sign_up::tests(),
        store_contract::tests(),
        throttling::tests(),
    ];
    runner::run(suites.into_iter().flatten().collect())
}
