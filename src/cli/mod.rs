//! The command line: each command has a file, which defines the command and runs it.
//!
//! | file | contents |
//! |---|---|
//! | `completions`, `doctor`, `export`, `health`, `import`, `keys`, `man`, `reseal`, `secrets`, `sessions`, `tokens`, `user`, `webhooks` | the commands |
//! | `account_line` | the line of an account in a file of accounts |
//! | `arguments` | arguments and help texts that several commands share |
//! | `password` | new passwords from standard input |
//! | `store` | access to the store |
//! | `output`, `progress` | results, errors and exit codes; the progress of a long command |

mod account_line;
mod arguments;
mod completions;
mod doctor;
mod export;
mod health;
mod import;
mod keys;
mod man;
mod output;
mod password;
mod progress;
mod reseal;
mod secrets;
mod sessions;
mod store;
mod tokens;
mod user;
mod webhooks;

use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};

use self::arguments::{given_settings, setting_flags};
pub use self::output::{FAILED, WRONG_USAGE, cannot_open, failed, wrong_settings};
use crate::config::Sources;

const HELP: &str = "\
Examples:
  auth-service                                     serve on http://127.0.0.1:3000 from the embedded store
  auth-service --port 8080 --data-dir /var/lib/auth
  REDIS_URL=redis://127.0.0.1 auth-service         serve from Redis, which any number of replicas can share
  auth-service secrets generate >> .env            make the two secrets that all replicas share
  auth-service tokens revoke ada@example.com       remove all tokens of a user

Exit codes: 0 done, 1 failed, 2 wrong usage or wrong settings.";

/// The task that the command line gives.
pub enum Invocation {
    /// Serve, with these settings.
    Serve(Sources),
    /// Any other command. It has run already, and this is its exit code.
    Done(ExitCode),
}

/// Parses the command line, and runs the command, unless the command is to serve. Wrong usage ends the process with
/// status 2.
pub fn run() -> Invocation {
    let matches = command().get_matches();
    let sources = Sources::new(given_settings(&matches));
    let code = match matches.subcommand() {
        Some(("tokens", matches)) => tokens::run(matches, &sources),
        Some(("sessions", matches)) => sessions::run(matches, &sources),
        Some(("user", matches)) => user::run(matches, &sources),
        Some(("export", matches)) => export::run(matches, &sources),
        Some(("import", matches)) => import::run(matches, &sources),
        Some(("keys", matches)) => keys::run(matches, &sources),
        Some(("secrets", matches)) => secrets::run(matches, &sources),
        Some(("webhooks", matches)) => webhooks::run(matches, &sources),
        Some(("doctor", matches)) => doctor::run(matches, &sources),
        Some(("health", matches)) => health::run(matches, &sources),
        Some(("completions", matches)) => completions::run(matches, command()),
        Some(("man", matches)) => man::run(matches, command()),
        _ => return Invocation::Serve(sources),
    };
    Invocation::Done(code)
}

fn command() -> Command {
    Command::new("auth-service")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A stateless token server: accounts, sessions and tokens in Redis, or in an embedded store on one node")
        .after_help(HELP)
        .propagate_version(true)
        .args(setting_flags())
        .arg(
            Arg::new("json")
                .long("json")
                .global(true)
                .action(ArgAction::SetTrue)
                .help("Print the result as one JSON object"),
        )
        .subcommands([
            tokens::command(),
            sessions::command(),
            user::command(),
            export::command(),
            import::command(),
            keys::command(),
            secrets::command(),
            webhooks::command(),
            doctor::command(),
            health::command(),
            completions::command(),
            man::command(),
        ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn settings_are_taken_before_and_after_the_command() {
        let words = "auth-service --port 1 user show --redis-url-file x a@b.example --json";
        let matches = command().try_get_matches_from(words.split(' ')).unwrap();
        let given = given_settings(&matches);
        assert_eq!(given["PORT"], "1");
        assert_eq!(given["REDIS_URL_FILE"], "x");
        assert_eq!(given.len(), 2);
    }
}
