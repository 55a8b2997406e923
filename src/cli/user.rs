//! `auth-service user`.

use std::{
    process::ExitCode,
    time::{Duration, UNIX_EPOCH},
};

use clap::ArgMatches;
use serde::Serialize;
use uuid::Uuid;

use super::{Failed, Outcome, on_store, report};
use crate::config::Sources;

#[derive(Serialize)]
struct Shown {
    email: String,
    id: Uuid,
    created_at: String,
}

impl Outcome for Shown {
    fn line(&self) -> String {
        format!("{} id {} created {}", self.email, self.id, self.created_at)
    }
}

#[derive(Serialize)]
struct Deleted {
    result: &'static str,
    email: String,
}

impl Outcome for Deleted {
    fn line(&self) -> String {
        format!("The account {} and all its tokens are deleted", self.email)
    }
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    match matches.subcommand() {
        Some(("show", matches)) => report(matches, show(matches, sources)),
        Some(("delete", matches)) => report(matches, delete(matches, sources)),
        _ => ExitCode::from(super::WRONG_USAGE),
    }
}

fn show(matches: &ArgMatches, sources: &Sources) -> Result<Shown, Failed> {
    on_store(matches, sources, async |store, email| {
        let user = store.find_user(email.tag()).await?.ok_or_else(|| not_found(email.as_str()))?.user;
        let created_at = UNIX_EPOCH + Duration::from_secs(user.created_at);
        let created_at = humantime::format_rfc3339_seconds(created_at).to_string();
        Ok(Shown { email: user.email, id: user.id, created_at })
    })
}

fn delete(matches: &ArgMatches, sources: &Sources) -> Result<Deleted, Failed> {
    on_store(matches, sources, async |store, email| {
        let email_text = email.as_str().to_owned();
        if store.delete_user(email.tag()).await? {
            Ok(Deleted { result: "user_deleted", email: email_text })
        } else {
            Err(not_found(&email_text))
        }
    })
}

fn not_found(email: &str) -> Failed {
    Failed::new("user_not_found", format!("there is no account {email}"))
}
