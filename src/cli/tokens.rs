//! `auth-service tokens`.

use std::process::ExitCode;

use clap::ArgMatches;
use serde::Serialize;

use super::{Failed, Report, on_store, report};
use crate::{config::Sources, session::Outcome};

#[derive(Serialize)]
struct Revoked {
    result: &'static str,
    email: String,
}

impl Report for Revoked {
    fn line(&self) -> String {
        format!("All tokens of {} are removed", self.email)
    }
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    let Some(("revoke", matches)) = matches.subcommand() else { return ExitCode::from(super::WRONG_USAGE) };
    let outcome = on_store(matches, sources, async |store, email| {
        let email_text = email.as_str().to_owned();
        match store.remove_tokens(email.tag(), None).await? {
            Outcome::Done => Ok(Revoked { result: "tokens_removed", email: email_text }),
            Outcome::NotThere | Outcome::Refused => {
                Err(Failed::new("token_not_found", format!("{email_text} has no tokens")))
            }
        }
    });
    report(matches, outcome)
}
