//! `auth-service tokens`: the tokens of a user.

use std::process::ExitCode;

use auth_service_records::session::Outcome;
use clap::{ArgMatches, Command};
use serde::Serialize;

use super::{
    arguments::{self, email, group, store_help},
    output::{Failed, Report, WRONG_USAGE, report},
    store::on_account,
};
use crate::config::Sources;

const EXAMPLES: &str = "\
Examples:
  auth-service tokens revoke ada@example.com
  auth-service tokens revoke ada@example.com --json";

pub(super) fn command() -> Command {
    let help = store_help(EXAMPLES, "It exits with 1 if the user has no tokens, or if the store is unavailable.");
    let revoke = arguments::command("revoke", "Remove all tokens of a user", &help).arg(email());
    group("tokens", "Remove the tokens of a user", &help).subcommand(revoke)
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    let Some(("revoke", matches)) = matches.subcommand() else { return ExitCode::from(WRONG_USAGE) };
    report(matches, revoke(matches, sources))
}

#[derive(Serialize)]
struct Revoked {
    result: &'static str,
    email: String,
}

impl Report for Revoked {
    fn text(&self) -> String {
        format!("All tokens of {} are removed", self.email)
    }
}

fn revoke(matches: &ArgMatches, sources: &Sources) -> Result<Revoked, Failed> {
    on_account(matches, sources, async |store, email| {
        let email_text = email.as_str().to_owned();
        match store.remove_tokens(email.tag(), None).await? {
            Outcome::Done => Ok(Revoked { result: "tokens_removed", email: email_text }),
            Outcome::NotThere | Outcome::Refused => {
                Err(Failed::new("token_not_found", format!("{email_text} has no tokens")))
            }
        }
    })
}
