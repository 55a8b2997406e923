//! `auth-service user`: accounts.

use std::process::ExitCode;

use auth_service_records::{clock::rfc3339, session::Outcome};
use clap::{ArgMatches, Command};
use serde::Serialize;
use uuid::Uuid;

use super::{
    arguments::{self, email, group, store_help},
    output::{Failed, Report, WRONG_USAGE, report},
    store::on_account,
};
use crate::config::Sources;

/// The maximum number of tries of a deletion. The account may change between the read and the deletion, because each
/// sign-in from a new address changes it.
const DELETION_TRIES: u32 = 10;

const EXAMPLES: &str = "\
Examples:
  auth-service user show ada@example.com --json
  auth-service user delete ada@example.com";

pub(super) fn command() -> Command {
    let help = store_help(EXAMPLES, "It exits with 1 if the account does not exist,\nor if the store is unavailable.");
    let show = arguments::command("show", "Print an account", &help).arg(email());
    let delete = arguments::command("delete", "Delete an account and end all its tokens", &help).arg(email());
    group("user", "Print or delete an account", &help).subcommands([show, delete])
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    match matches.subcommand() {
        Some(("show", matches)) => report(matches, show(matches, sources)),
        Some(("delete", matches)) => report(matches, delete(matches, sources)),
        _ => ExitCode::from(WRONG_USAGE),
    }
}

#[derive(Serialize)]
struct Shown {
    email: String,
    id: Uuid,
    created_at: String,
}

impl Report for Shown {
    fn text(&self) -> String {
        format!("{} id {} created {}", self.email, self.id, self.created_at)
    }
}

fn show(matches: &ArgMatches, sources: &Sources) -> Result<Shown, Failed> {
    on_account(matches, sources, async |store, email| {
        let user = store.find_user(email.tag()).await?.ok_or_else(|| not_found(email.as_str()))?.user;
        Ok(Shown { email: user.email, id: user.id, created_at: rfc3339(user.created_at) })
    })
}

#[derive(Serialize)]
struct Deleted {
    result: &'static str,
    email: String,
}

impl Report for Deleted {
    fn text(&self) -> String {
        format!("The account {} and all its tokens are deleted", self.email)
    }
}

fn delete(matches: &ArgMatches, sources: &Sources) -> Result<Deleted, Failed> {
    on_account(matches, sources, async |store, email| {
        for _ in 0..DELETION_TRIES {
            let Some(stored) = store.find_user(email.tag()).await? else {
                // A user repeats the command if too few replicas have confirmed the deletion. "Not found" then means
                // that enough replicas have confirmed it.
                store.acknowledge_user(email.tag()).await?;
                return Err(not_found(email.as_str()));
            };
            if store.delete_user(email.tag(), &stored, None).await? == Outcome::Done {
                return Ok(Deleted { result: "user_deleted", email: email.as_str().to_owned() });
            }
        }
        let sentence =
            format!("the account {} changed during every attempt to delete it; run the command again", email.as_str());
        Err(Failed::new("user_changed", sentence))
    })
}

fn not_found(email: &str) -> Failed {
    Failed::new("user_not_found", format!("there is no account {email}"))
}
