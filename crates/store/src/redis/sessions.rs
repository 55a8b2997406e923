//! The operations on sessions. `sessions.rs` of the store has their contracts.

use std::sync::LazyLock;

use auth_service_records::{
    error::Error,
    session::{Access, NewSession, Origin, Outcome, Page, Session},
    user::User,
};
use auth_service_token::Id;
use redis::Script;

use super::{
    net::request::{Mode, Request},
    script::script,
    store::{Redis, unreadable},
};
use crate::{
    access,
    change::{Change, PendingKind},
    record::{StoredUser, encode_changed_user},
};

static OPEN_SESSION: LazyLock<Script> = script!("entries", "ending", "open_session");
static LIST_SESSIONS: LazyLock<Script> = script!("entries", "list_sessions");
static END_SESSION: LazyLock<Script> = script!("entries", "ending", "end_session");
static END_SESSIONS: LazyLock<Script> = script!("entries", "ending", "end_sessions");
static KEEP_ONLY: LazyLock<Script> = script!("entries", "ending", "keep_only");
static REMOVE_TOKENS: LazyLock<Script> = script!("entries", "ending", "remove_tokens");

impl Redis {
    pub(crate) async fn open_session(
        &self,
        tag: Id,
        expected: &StoredUser,
        changed: Option<&User>,
        session: &NewSession,
        known: Option<Id>,
    ) -> Result<Option<Id>, Error> {
        let NewSession { sid, epoch, refresh_id, origin } = session;
        let (names, policy, now) = (self.keys(), self.policy(), self.now_seconds());
        let longest = policy.max_age_seconds.unwrap_or(u64::MAX);
        let ends_at = policy.max_age_seconds.map(|longest| now.saturating_add(longest).to_string()).unwrap_or_default();
        let now = now.to_string();
        let mut keys = vec![names.user(tag), names.epoch(tag), names.access(tag, *sid), names.refresh(tag, *sid)];
        keys.extend([names.sessions(tag), names.failures(tag, None)]);
        let forgotten = known.into_iter().chain(no_longer_known(&expected.user, changed));
        keys.extend(forgotten.map(|address| names.failures(tag, Some(address))));
        let profile = changed.unwrap_or(&expected.user);
        let record = changed.map(|user| encode_changed_user(user, expected)).unwrap_or_default();
        let mut fields = vec!["id", refresh_id.as_str(), "address", &origin.ip, "last_used", &now];
        if !ends_at.is_empty() {
            fields.extend(["ends_at", &ends_at]);
        }
        if !origin.user_agent.is_empty() {
            fields.extend(["agent", &origin.user_agent]);
        }
        let call = || {
            Request::call(&OPEN_SESSION, &keys)
                .arg(&expected.revision)
                .arg(&record)
                .arg(access::new_epoch(*epoch, profile))
                .arg(epoch.as_str())
                .arg(sid.as_str())
                .arg(policy.access_seconds.min(longest))
                .arg(policy.refresh_seconds.min(longest))
                .arg(policy.max_sessions)
                .arg(&fields)
        };
        let opened: Option<String> = self.run_ending(tag, Mode::Shared, call).await?;
        opened.map(|epoch| Id::parse(&epoch).ok_or_else(|| unreadable("an epoch entry"))).transpose()
    }

    /// One command on two keys, however many sessions the user has.
    pub(crate) async fn check_access(&self, tag: Id, sid: Id) -> Result<Option<Access>, Error> {
        let get = Request::command("MGET").reading().arg(self.keys().epoch(tag)).arg(self.keys().access(tag, sid));
        let found: (Option<Vec<u8>>, Option<Vec<u8>>) = self.run(tag, &get).await?;
        let (Some(epoch), Some(access)) = found else { return Ok(None) };
        self.counted(access::check(&epoch, &access))
    }

    pub(crate) async fn list_sessions(
        &self,
        tag: Id,
        caller: Option<Id>,
        page: Page,
    ) -> Result<Option<Vec<Session>>, Error> {
        let names = self.keys();
        let mut keys = vec![names.epoch(tag), names.sessions(tag)];
        keys.extend(caller.map(|sid| names.access(tag, sid)));
        let call = Request::call(&LIST_SESSIONS, &keys).reading();
        let call = call.arg(page.after.as_ref().map_or("", Id::as_str)).arg(page.limit);
        type Row = (String, u64, u64, String, String);
        let rows: Option<Vec<Row>> = self.run(tag, &call).await?;
        let session = |(sid, created_at, last_used_at, ip, user_agent): Row| {
            let sid = Id::parse(&sid)?;
            Some(Session { sid, created_at, last_used_at, origin: Origin { ip, user_agent } })
        };
        let sessions = |rows: Vec<Row>| rows.into_iter().map(session).collect::<Option<Vec<_>>>();
        rows.map(|rows| sessions(rows).ok_or_else(|| unreadable("the id of a session"))).transpose()
    }

    pub(crate) async fn end_session(&self, tag: Id, sid: Id, caller: Option<Id>) -> Result<Outcome, Error> {
        let names = self.keys();
        let mut keys = vec![names.epoch(tag), names.access(tag, sid), names.refresh(tag, sid)];
        keys.extend(caller.map(|sid| names.access(tag, sid)));
        self.end(tag, || Request::call(&END_SESSION, &keys).arg(sid.as_str())).await
    }

    pub(crate) async fn end_sessions(&self, tag: Id, caller: Id) -> Result<Outcome, Error> {
        let keys = [self.keys().epoch(tag), self.keys().sessions(tag), self.keys().access(tag, caller)];
        self.end(tag, || Request::call(&END_SESSIONS, &keys)).await
    }

    pub(crate) async fn keep_only(
        &self,
        tag: Id,
        sid: Id,
        epoch: Id,
        change: Option<Change<'_>>,
    ) -> Result<Outcome, Error> {
        let names = self.keys();
        let mut keys = vec![names.user(tag), names.epoch(tag), names.access(tag, sid), names.refresh(tag, sid)];
        keys.push(names.sessions(tag));
        if let Some(Change { expected, known, .. }) = change
            && expected.user.password_resets_failures()
        {
            keys.push(names.failures(tag, None));
            keys.extend(known.map(|known| names.failures(tag, Some(known))));
        }
        keys.extend(PendingKind::OF_A_PASSWORD.map(|kind| names.pending(tag, kind)));
        let record =
            change.map(|Change { expected, user, .. }| encode_changed_user(user, expected)).unwrap_or_default();
        let revision = change.map(|change| change.expected.revision.as_slice()).unwrap_or_default();
        let call = || Request::call(&KEEP_ONLY, &keys).arg(epoch.as_str()).arg(sid.as_str()).arg(revision).arg(&record);
        self.end(tag, call).await
    }

    pub(crate) async fn remove_tokens(&self, tag: Id, caller: Option<Id>) -> Result<Outcome, Error> {
        let mut keys = vec![self.keys().epoch(tag)];
        keys.extend(caller.map(|sid| self.keys().access(tag, sid)));
        self.end(tag, || Request::call(&REMOVE_TOKENS, &keys)).await
    }
}

/// The addresses that a change of the account drops. Their counts of failures are deleted too, so that the store holds
/// counts only for addresses in the record.
fn no_longer_known<'a>(expected: &'a User, changed: Option<&'a User>) -> impl Iterator<Item = Id> + 'a {
    let kept = move |address| changed.is_none_or(|user| user.known_addresses.names().any(|kept| kept == address));
    expected.known_addresses.names().filter(move |address| !kept(*address))
}
