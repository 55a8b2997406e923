//! `auth-service secrets`: new signing secrets, and their adoption.

use std::process::ExitCode;

use auth_service_records::{error::Error, secret::Secret};
use clap::{ArgMatches, Command};
use serde::Serialize;

use super::{
    arguments::{self, group},
    output::{Failed, Report, WRONG_USAGE, report},
    store::on_backend,
};
use crate::config::{Config, Sources};

const HELP: &str = "\
Examples:
  auth-service secrets generate >> .env
  auth-service secrets generate --json

All replicas must have the same two secrets. docs/operations.md says how to replace them without signing anyone out.";

const ADOPT_HELP: &str = "\
Examples:
  auth-service secrets adopt

Replicas on one Redis start only if their secrets belong to those of the other replicas. This command makes the secrets
of the settings the ones that count. Use it to replace secrets at once, for example because somebody else knows them: run
the command with the new secrets, then restart all replicas with the new secrets. Every user has to sign in again.";

pub(super) fn command() -> Command {
    let generate = arguments::command("generate", "Print two new secrets, as lines for .env", HELP);
    let adopt = arguments::command("adopt", "Replace the signing secrets at once, and end all sessions", ADOPT_HELP);
    group("secrets", "Make and replace signing secrets", HELP).subcommands([generate, adopt])
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    match matches.subcommand() {
        Some(("generate", matches)) => report(matches, generate().map_err(Failed::from)),
        Some(("adopt", matches)) => report(matches, adopt(sources)),
        _ => ExitCode::from(WRONG_USAGE),
    }
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

#[derive(Serialize)]
struct Adopted {
    store: String,
}

impl Report for Adopted {
    fn text(&self) -> String {
        format!("the secrets of the settings count on {}: restart all replicas with these secrets", self.store)
    }
}

fn adopt(sources: &Sources) -> Result<Adopted, Failed> {
    let secrets = Config::load_secrets(sources).map_err(|problems| Failed::wrong_settings(&problems))?;
    let missing = || Failed::wrong_usage("set AUTH_SECRET_KEY and REFRESH_SECRET_KEY to the new secrets".to_owned());
    let check = secrets.ok_or_else(missing)?.tokens().check_values();
    on_backend(sources, async |backend| {
        backend.adopt_secrets(&check).await.map_err(|reason| Failed::new("store_unreachable", reason))?;
        Ok(Adopted { store: backend.describe() })
    })
}
