//! `auth-service user`.

use std::process::ExitCode;

use clap::ArgMatches;
use serde::Serialize;
use uuid::Uuid;

use super::{Failed, Report, on_store, report};
use crate::{clock::rfc3339, config::Sources, session::Outcome};

#[derive(Serialize)]
struct Shown {
    email: String,
    id: Uuid,
    created_at: String,
}

impl Report for Shown {
    fn line(&self) -> String {
        format!("{} id {} created {}", self.email, self.id, self.created_at)
    }
}

#[derive(Serialize)]
struct Deleted {
    result: &'static str,
    email: String,
}

impl Report for Deleted {
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
        Ok(Shown { email: user.email, id: user.id, created_at: rfc3339(user.created_at) })
    })
}

fn delete(matches: &ArgMatches, sources: &Sources) -> Result<Deleted, Failed> {
    on_store(matches, sources, async |store, email| {
        let email_text = email.as_str().to_owned();
        match store.delete_user(email.tag(), None, None).await? {
            Outcome::Done => Ok(Deleted { result: "user_deleted", email: email_text }),
            Outcome::NotThere | Outcome::Refused => Err(not_found(&email_text)),
        }
    })
}

fn not_found(email: &str) -> Failed {
    Failed::new("user_not_found", format!("there is no account {email}"))
}
