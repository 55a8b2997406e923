//! `auth-service webhooks`: the dead letters of webhooks.

use std::process::ExitCode;

use auth_service_records::{clock::rfc3339, outbox::Queued};
use clap::{ArgMatches, Command};
use serde::Serialize;
use serde_json::Value;

use super::{
    arguments::{self, group, store_help},
    output::{Failed, Report, WRONG_USAGE, report},
    store::{connect, on_reachable},
};
use crate::config::Sources;

const EXAMPLES: &str = "\
Examples:
  auth-service webhooks dead
  auth-service webhooks retry

A dead letter is an event that the receiver did not accept within WEBHOOK_GIVE_UP_SECONDS, or that left a full outbox. A
dead letter stays for 30 days. `retry` puts all dead letters back into the outbox, after the events that wait there.";

pub(super) fn command() -> Command {
    let help = store_help(EXAMPLES, "It exits with 1 if the store is unavailable.");
    let dead = arguments::command("dead", "Print the events that could not be delivered", &help);
    let retry = arguments::command("retry", "Put these events back into the outbox", &help);
    group("webhooks", "Print or deliver the events that could not be delivered", &help).subcommands([dead, retry])
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    match matches.subcommand() {
        Some(("dead", matches)) => report(matches, dead(sources)),
        Some(("retry", matches)) => report(matches, retry(sources)),
        _ => ExitCode::from(WRONG_USAGE),
    }
}

#[derive(Serialize)]
struct DeadLetters {
    dead_letters: Vec<DeadLetter>,
}

#[derive(Serialize)]
struct DeadLetter {
    /// The header `webhook-id` of each try.
    id: String,
    /// When the server gave up.
    buried_at: String,
    /// The body of the request.
    event: Value,
}

impl Report for DeadLetters {
    /// One line for each dead letter.
    fn text(&self) -> String {
        if self.dead_letters.is_empty() {
            return "No dead letters".to_owned();
        }
        self.dead_letters.iter().map(DeadLetter::text).collect::<Vec<_>>().join("\n")
    }
}

impl DeadLetter {
    fn new(Queued { place, announcement }: &Queued) -> Self {
        Self {
            id: announcement.id.to_string(),
            buried_at: rfc3339(place.millis / 1_000),
            event: serde_json::from_str(&announcement.body).unwrap_or_default(),
        }
    }

    fn text(&self) -> String {
        let Self { id, buried_at, event } = self;
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let (at, kind, user_id) = (text(&event["timestamp"]), text(&event["type"]), text(&event["data"]["user_id"]));
        format!("{id} {kind} at {at} of user {user_id}, given up at {buried_at}")
    }
}

fn dead(sources: &Sources) -> Result<DeadLetters, Failed> {
    on_reachable(sources, async |backend| {
        let letters = connect(&backend).await?.dead_letters().await?;
        Ok(DeadLetters { dead_letters: letters.iter().map(DeadLetter::new).collect() })
    })
}

#[derive(Serialize)]
struct Retried {
    retried: u64,
}

impl Report for Retried {
    fn text(&self) -> String {
        format!("Dead letters that are back in the outbox: {}", self.retried)
    }
}

fn retry(sources: &Sources) -> Result<Retried, Failed> {
    on_reachable(sources, async |backend| Ok(Retried { retried: connect(&backend).await?.retry_dead_letters().await? }))
}
