//! `auth-service sessions`: the sessions of a user.

use std::process::ExitCode;

use auth_service_records::{
    clock::rfc3339,
    error::Error,
    session::{Outcome, Page, Session},
    user::Email,
};
use auth_service_store::Store;
use auth_service_token::Id;
use clap::{ArgMatches, Command};
use serde::Serialize;

use super::{
    arguments::{self, email, group, positional, store_help},
    output::{Failed, Report, WRONG_USAGE, report},
    store::on_account,
};
use crate::config::Sources;

/// Sessions that are read from the store at once.
const PAGE_LENGTH: usize = 100;

const EXAMPLES: &str = "\
Examples:
  auth-service sessions list ada@example.com
  auth-service sessions end ada@example.com SESSION_ID";

pub(super) fn command() -> Command {
    let failures = "It exits with 1 if there is no such session or the store is away.\nThe list of a user without \
                    sessions is empty, which is no failure.";
    let help = store_help(EXAMPLES, failures);
    let list = arguments::command("list", "Print the live sessions of a user, newest first", &help).arg(email());
    let id = positional("id", "ID", "The id of the session, as `sessions list` prints it");
    let end = arguments::command("end", "End one session", &help).args([email(), id]);
    group("sessions", "Print or end the sessions of a user", &help).subcommands([list, end])
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    match matches.subcommand() {
        Some(("list", matches)) => report(matches, list(matches, sources)),
        Some(("end", matches)) => report(matches, end(matches, sources)),
        _ => ExitCode::from(WRONG_USAGE),
    }
}

#[derive(Serialize)]
struct Listed {
    sessions: Vec<SessionLine>,
}

#[derive(Serialize)]
struct SessionLine {
    id: Id,
    created_at: String,
    last_used_at: String,
    ip: String,
    user_agent: String,
}

impl Report for Listed {
    /// One line for each session.
    fn text(&self) -> String {
        if self.sessions.is_empty() {
            return "No sessions".to_owned();
        }
        let line = |s: &SessionLine| {
            format!("{} created {} last used {} from {} {}", s.id, s.created_at, s.last_used_at, s.ip, s.user_agent)
        };
        self.sessions.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl From<Session> for SessionLine {
    fn from(session: Session) -> Self {
        Self {
            id: session.sid,
            created_at: rfc3339(session.created_at),
            last_used_at: rfc3339(session.last_used_at),
            ip: session.origin.ip,
            user_agent: session.origin.user_agent,
        }
    }
}

fn list(matches: &ArgMatches, sources: &Sources) -> Result<Listed, Failed> {
    on_account(matches, sources, async |store, email| {
        let sessions = all_sessions(store, email).await?;
        Ok(Listed { sessions: sessions.into_iter().map(SessionLine::from).collect() })
    })
}

async fn all_sessions(store: &Store, email: &Email) -> Result<Vec<Session>, Error> {
    let mut sessions: Vec<Session> = Vec::new();
    loop {
        let page = Page { after: sessions.last().map(|session| session.sid), limit: PAGE_LENGTH };
        let found = store.list_sessions(email.tag(), None, page).await?.unwrap_or_default();
        let is_last = found.len() < PAGE_LENGTH;
        sessions.extend(found);
        if is_last {
            return Ok(sessions);
        }
    }
}

#[derive(Serialize)]
struct Ended {
    result: &'static str,
    id: Id,
}

impl Report for Ended {
    fn text(&self) -> String {
        format!("The session {} is ended", self.id)
    }
}

fn end(matches: &ArgMatches, sources: &Sources) -> Result<Ended, Failed> {
    let id = matches.get_one::<String>("id").and_then(|id| Id::parse(id)).ok_or_else(not_found)?;
    on_account(matches, sources, async |store, email| match store.end_session(email.tag(), id, None).await? {
        Outcome::Done => Ok(Ended { result: "session_ended", id }),
        Outcome::NotThere | Outcome::Refused => Err(not_found()),
    })
}

fn not_found() -> Failed {
    Failed::new("session_not_found", "there is no such session; `auth-service sessions list` prints the live sessions")
}
