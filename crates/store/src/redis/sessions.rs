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
    net::request::Request,
    script::script,
    store::{Redis, unreadable},
};
use crate::{
    access,
    change::Change,
    record::{StoredUser, encode_changed_user},
};

static OPEN_SESSION: LazyLock<Script> = script!("entries", "open_session");
static LIST_SESSIONS: LazyLock<Script> = script!("entries", "list_sessions");
static END_SESSION: LazyLock<Script> = script!("entries", "end_session");
static END_SESSIONS: LazyLock<Script> = script!("entries", "end_sessions");
static KEEP_ONLY: LazyLock<Script> = script!("entries", "keep_only");
static REMOVE_TOKENS: LazyLock<Script> = script!("entries", "remove_tokens");

impl Redis {
    pub(crate) async fn open_session(
        &self,
        tag: Id,
        expected: &StoredUser,
        changed: Option<&User>,
        session: &NewSession,
        known: Option<Id>,
    ) -> Result<bool, Error> {
        let NewSession { sid, epoch, refresh_id, origin } = session;
        let (names, policy, now) = (self.keys(), self.policy(), self.now_seconds());
        let longest = policy.max_age_seconds.unwrap_or(u64::MAX);
        let mut keys = vec![names.user(tag), names.epoch(tag), names.access(tag, *sid), names.refresh(tag, *sid)];
        keys.extend([names.sessions(tag), names.failures(tag, None)]);
        let forgotten = known.into_iter().chain(no_longer_known(&expected.user, changed));
        keys.extend(forgotten.map(|address| names.failures(tag, Some(address))));
        let User { email, created_at, .. } = changed.unwrap_or(&expected.user);
        let mut call = Request::call(&OPEN_SESSION, &keys)
            .arg(&expected.revision)
            .arg(changed.map(|user| encode_changed_user(user, expected)).unwrap_or_default())
            .arg(access::new_epoch(*epoch, email, *created_at))
            .arg(epoch.as_str())
            .arg(sid.as_str())
            .arg(policy.access_seconds.min(longest))
            .arg(policy.refresh_seconds.min(longest))
            .arg(policy.max_sessions)
            .arg(&["id", refresh_id.as_str(), "address", &origin.ip])
            .arg(("last_used", now));
        if let Some(longest) = policy.max_age_seconds {
            call = call.arg(("ends_at", now.saturating_add(longest)));
        }
        if !origin.user_agent.is_empty() {
            call = call.arg(&["agent", &origin.user_agent]);
        }
        self.run(tag, &call).await
    }

    /// One command on two keys, however many sessions the user has.
    pub(crate) async fn check_access(&self, tag: Id, sid: Id) -> Result<Option<Access>, Error> {
        let get = Request::command("MGET").arg(self.keys().epoch(tag)).arg(self.keys().access(tag, sid));
        let found: (Option<Vec<u8>>, Option<Vec<u8>>) = self.run(tag, &get).await?;
        let (Some(epoch), Some(access)) = found else { return Ok(None) };
        access::check(&epoch, &access)
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
        let call = Request::call(&LIST_SESSIONS, &keys);
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
        self.run_outcome(tag, &Request::call(&END_SESSION, &keys).arg(sid.as_str())).await
    }

    pub(crate) async fn end_sessions(&self, tag: Id, caller: Id) -> Result<Outcome, Error> {
        let keys = [self.keys().epoch(tag), self.keys().sessions(tag), self.keys().access(tag, caller)];
        self.run_outcome(tag, &Request::call(&END_SESSIONS, &keys)).await
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
        keys.extend([names.sessions(tag), names.failures(tag, None)]);
        let known = change.and_then(|change| change.known);
        keys.extend(known.map(|known| names.failures(tag, Some(known))));
        let call = Request::call(&KEEP_ONLY, &keys).arg(epoch.as_str()).arg(sid.as_str());
        let call = match change {
            Some(Change { expected, user, .. }) => {
                call.arg(&expected.revision).arg(encode_changed_user(user, expected))
            }
            None => call.arg("").arg(""),
        };
        self.run_outcome(tag, &call).await
    }

    pub(crate) async fn remove_tokens(&self, tag: Id, caller: Option<Id>) -> Result<Outcome, Error> {
        let epoch = self.keys().epoch(tag);
        if let Some(sid) = caller {
            let keys = [epoch, self.keys().access(tag, sid)];
            return self.run_outcome(tag, &Request::call(&REMOVE_TOKENS, &keys)).await;
        }
        let removed: bool = self.run_lasting(tag, &Request::command("DEL").arg(epoch)).await?;
        Ok(if removed { Outcome::Done } else { Outcome::NotThere })
    }
}

/// The addresses that a change of the account drops. Their counts of failures are deleted too, so that the store holds
/// counts only for addresses in the record.
fn no_longer_known<'a>(expected: &'a User, changed: Option<&'a User>) -> impl Iterator<Item = Id> + 'a {
    let kept = move |address| changed.is_none_or(|user| user.known_addresses.names().any(|kept| kept == address));
    expected.known_addresses.names().filter(move |address| !kept(*address))
}
