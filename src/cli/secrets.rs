//! `auth-service secrets`.

use std::process::ExitCode;

use clap::ArgMatches;
use serde::Serialize;

use super::{Failed, Report, report};
use crate::{error::Error, secret::Secret};

#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct Generated {
    auth_secret_key: String,
    refresh_secret_key: String,
}

/// The one output of two lines: `.env` wants each setting on its own.
impl Report for Generated {
    fn line(&self) -> String {
        format!("AUTH_SECRET_KEY={}\nREFRESH_SECRET_KEY={}", self.auth_secret_key, self.refresh_secret_key)
    }
}

pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    let Some(("generate", matches)) = matches.subcommand() else { return ExitCode::from(super::WRONG_USAGE) };
    report(matches, generate().map_err(Failed::from))
}

fn generate() -> Result<Generated, Error> {
    Ok(Generated {
        auth_secret_key: Secret::generate()?.expose().to_owned(),
        refresh_secret_key: Secret::generate()?.expose().to_owned(),
    })
}
