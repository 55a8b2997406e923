//! `auth-service sessions`: the sessions of a user.

use std::process::ExitCode;

use auth_service_records::{
    clock::rfc3339,
    error::Error,
    session::{Outcome, Page, Session},
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

/// The number of sessions in one read of the store.
const PAGE_LENGTH: usize = 100;

const EXAMPLES: &str = "\
Examples:
  auth-service sessions list ada@example.com
  auth-service sessions end ada@example.com SESSION_ID";

pub(super) fn command() -> Command {
    let failures = "It exits with 1 if the session does not exist, or if the store is unavailable. If the user has no \
                    sessions,\n`list` exits with 0.";
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
    #[serde(skip)]
    email: String,
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
            return format!("{} has no sessions", self.email);
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
        let sessions = all_sessions(store, email.tag(), PAGE_LENGTH).await?;
        let sessions = sessions.into_iter().map(SessionLine::from).collect();
        Ok(Listed { email: email.as_str().to_owned(), sessions })
    })
}

async fn all_sessions(store: &Store, tag: Id, page_length: usize) -> Result<Vec<Session>, Error> {
    let mut sessions: Vec<Session> = Vec::new();
    loop {
        let page = Page { after: sessions.last().map(|session| session.sid), limit: page_length };
        let found = store.list_sessions(tag, None, page).await?.unwrap_or_default();
        let is_last = found.len() < page_length;
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

#[cfg(test)]
mod tests {
    use auth_service_records::{
        clock::Clock,
        session::{NewSession, Origin, SessionPolicy},
        throttle::KnownAddresses,
        user::User,
    };
    use auth_service_store::{backend::Backend, settings::StoreSettings};
    use uuid::Uuid;

    use super::*;

    async fn open_session(store: &Store, tag: Id) -> Id {
        let [sid, epoch, refresh_id] = std::array::from_fn(|_| Id::random().unwrap());
        let origin = Origin { ip: "192.0.2.1".to_owned(), user_agent: String::new() };
        let session = NewSession { sid, epoch, refresh_id, origin };
        let stored = store.find_user(tag).await.unwrap().unwrap();
        assert!(store.open_session(tag, &stored, None, &session, None).await.unwrap().is_some());
        sid
    }

    #[tokio::test]
    async fn the_list_follows_all_pages() {
        let directory = tempfile::tempdir().unwrap();
        let policy = SessionPolicy {
            access_seconds: 60,
            refresh_seconds: 120,
            rotation: false,
            grace_seconds: 0,
            max_age_seconds: None,
            max_sessions: 100,
        };
        let settings = StoreSettings::Embedded { directory: directory.path().join("data") };
        let store = Backend::open(&settings, policy, Clock::new()).unwrap().connect().await;
        let tag = Id::random().unwrap();
        let user = User {
            id: Uuid::new_v4(),
            email: "ada@example.com".to_owned(),
            created_at: 1_800_000_000,
            password_hash: String::new(),
            known_addresses: KnownAddresses::default(),
            password_change: None,
            email_verified_at: None,
            totp: None,
        };
        assert!(store.create_user(tag, &user).await.unwrap());
        let mut opened = Vec::new();
        for _ in 0..4 {
            opened.insert(0, open_session(&store, tag).await);
        }
        for page_length in [1, 2, 3, 4, 5] {
            let listed = all_sessions(&store, tag, page_length).await.unwrap();
            let listed: Vec<_> = listed.iter().map(|session| session.sid).collect();
            assert_eq!(listed, opened, "pages of {page_length}");
        }
    }
}
