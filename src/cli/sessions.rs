//! `auth-service sessions`.

use std::process::ExitCode;

use clap::ArgMatches;
use serde::Serialize;

use super::{Failed, Report, on_store, report};
use crate::{clock::rfc3339, config::Sources, id::Id, session::Outcome};

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

/// One line for each session.
impl Report for Listed {
    fn line(&self) -> String {
        if self.sessions.is_empty() {
            return "No sessions".to_owned();
        }
        let line = |s: &SessionLine| {
            format!("{} created {} last used {} from {} {}", s.id, s.created_at, s.last_used_at, s.ip, s.user_agent)
        };
        self.sessions.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[derive(Serialize)]
struct Ended {
    result: &'static str,
    id: Id,
}

impl Report for Ended {
    fn line(&self) -> String {
        format!("The session {} is ended", self.id)
    }
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    match matches.subcommand() {
        Some(("list", matches)) => report(matches, list(matches, sources)),
        Some(("end", matches)) => report(matches, end(matches, sources)),
        _ => ExitCode::from(super::WRONG_USAGE),
    }
}

fn list(matches: &ArgMatches, sources: &Sources) -> Result<Listed, Failed> {
    on_store(matches, sources, async |store, email| {
        let sessions = store.list_sessions(email.tag(), None).await?.unwrap_or_default();
        let line = |session: crate::session::Session| SessionLine {
            id: session.sid,
            created_at: rfc3339(session.created_at),
            last_used_at: rfc3339(session.last_used_at),
            ip: session.origin.ip,
            user_agent: session.origin.user_agent,
        };
        Ok(Listed { sessions: sessions.into_iter().map(line).collect() })
    })
}

fn end(matches: &ArgMatches, sources: &Sources) -> Result<Ended, Failed> {
    let not_found =
        || Failed::new("session_not_found", "there is no such session; `sessions list` prints those there are");
    let id = matches.get_one::<String>("id").and_then(|id| Id::parse(id)).ok_or_else(not_found)?;
    on_store(matches, sources, async |store, email| match store.end_session(email.tag(), id, None).await? {
        Outcome::Done => Ok(Ended { result: "session_ended", id }),
        Outcome::NotThere | Outcome::Refused => Err(not_found()),
    })
}
