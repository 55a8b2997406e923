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
mod topology;

mod accounts;
mod addresses;
mod audit;
mod authenticate;
mod backup;
mod bodies;
mod command_line;
mod connections;
mod containers;
mod current_user;
mod doctor;
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
mod majorities;
mod old_client;
mod outage;
mod proxies;
mod races;
mod recorder;
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
mod tls;
mod topologies;
mod waiting_writes;

fn main() -> std::process::ExitCode {
    let suites = [
        accounts::tests(),
        addresses::tests(),
        audit::tests(),
        authenticate::tests(),
        backup::tests(),
        bodies::tests(),
        command_line::tests(),
        connections::tests(),
        containers::tests(),
        current_user::tests(),
        doctor::tests(),
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
        majorities::tests(),
        old_client::tests(),
        outage::tests(),
        proxies::tests(),
        races::tests(),
        recorder::tests(),
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
        tls::tests(),
        topologies::tests(),
        waiting_writes::tests(),
    ];
    runner::run(suites.into_iter().flatten().collect())
}
