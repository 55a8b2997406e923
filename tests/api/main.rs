//! The tests, from outside: real servers on ports of their own, a real Redis, and what a client sees.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it stands")]

mod app;
mod handmade;
mod raw;
mod redis_server;
mod runner;

mod authenticate;
mod command_line;
mod current_user;
mod forged_tokens;
mod old_client;
mod refresh_access_token;
mod remove_access_token;
mod settings;
mod sign_up;

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
    ];
    runner::run(suites.into_iter().flatten().collect())
}
