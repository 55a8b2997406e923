//! `auth-service secrets`: new signing secrets.

use std::process::ExitCode;

use auth_service_records::{error::Error, secret::Secret};
use clap::{ArgMatches, Command};
use serde::Serialize;

use super::{
    arguments::{self, group},
    output::{Failed, Report, WRONG_USAGE, report},
};

const HELP: &str = "\
Examples:
  auth-service secrets generate >> .env
  auth-service secrets generate --json

All replicas must have the same two secrets. If you replace the secrets, the tokens that the old secrets have signed are
no longer valid.";

pub(super) fn command() -> Command {
    let generate = arguments::command("generate", "Print two new secrets, as lines for .env", HELP);
    group("secrets", "Make signing secrets", HELP).subcommand(generate)
}

pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    let Some(("generate", matches)) = matches.subcommand() else { return ExitCode::from(WRONG_USAGE) };
    report(matches, generate().map_err(Failed::from))
}

#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct Generated {
    auth_secret_key: String,
    refresh_secret_key: String,
}

impl Report for Generated {
    /// Two lines, as `.env` has one setting on each line.
    fn text(&self) -> String {
        format!("AUTH_SECRET_KEY={}\nREFRESH_SECRET_KEY={}", self.auth_secret_key, self.refresh_secret_key)
    }
}

fn generate() -> Result<Generated, Error> {
    Ok(Generated {
        auth_secret_key: Secret::generate()?.expose().to_owned(),
        refresh_secret_key: Secret::generate()?.expose().to_owned(),
    })
}
