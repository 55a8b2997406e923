//! The operations on sessions. `sessions.rs` of the store has their contracts.

use auth_service_records::{
    error::Error,
    session::{Access, NewSession, Origin, Outcome, Page, Session, SessionPolicy, eid},
    user::User,
};
use auth_service_token::Id;

use super::{
    failure::Failure,
    store::Embedded,
    tables::{AccessEntry, EpochEntry, Live, LiveSession, Reads, RefreshEntry, Tables},
};
use crate::{
    access,
    change::{Change, PendingKind},
    record::{StoredUser, encode_changed_user},
};

impl Embedded {
    pub(crate) async fn open_session(
        &self,
        tag: Id,
        expected: &StoredUser,
        changed: Option<&User>,
        session: &NewSession,
        known: Option<Id>,
    ) -> Result<Option<Id>, Error> {
        let opening = Opening {
            tag,
            expected: expected.revision.clone(),
            changed: changed.map(|user| encode_changed_user(user, expected)),
            profile: access::profile(changed.unwrap_or(&expected.user)),
            session: session.clone(),
            policy: self.policy,
        };
        let opened = self.write(move |tables, now| opening.carry_out(tables, now)).await?;
        if opened.is_some() {
            self.counts.forget_guesses(tag, known);
        }
        Ok(opened)
    }

    pub(crate) fn check_access(&self, tag: Id, sid: Id) -> Result<Option<Access>, Error> {
        self.read(|snapshot, now| snapshot.check_access(tag, sid, now))
    }

    pub(crate) fn list_sessions(&self, tag: Id, caller: Option<Id>, page: Page) -> Result<Option<Vec<Session>>, Error> {
        self.read(|snapshot, now| {
            if !snapshot.may_ask(tag, caller, now)? {
                return Ok(None);
            }
            let Some(epoch) = snapshot.live_epoch(tag, now)? else { return Ok(Some(Vec::new())) };
            let newest_first = snapshot.live_sessions(tag, epoch.entry.epoch, now)?.into_iter().rev();
            let sessions = newest_first.map(listed);
            Ok(Some(match page.after {
                Some(after) => sessions.skip_while(|session| session.sid != after).skip(1).take(page.limit).collect(),
                None => sessions.take(page.limit).collect(),
            }))
        })
    }

    pub(crate) async fn end_session(&self, tag: Id, sid: Id, caller: Option<Id>) -> Result<Outcome, Error> {
        self.write(move |tables, now| {
            if !tables.may_ask(tag, caller, now)? {
                return Ok(Outcome::Refused);
            }
            let Some(epoch) = tables.live_epoch(tag, now)? else { return Ok(Outcome::NotThere) };
            let id = epoch.entry.epoch;
            if tables.live_access(tag, sid, id, now)?.is_none() && tables.live_refresh(tag, sid, id, now)?.is_none() {
                return Ok(Outcome::NotThere);
            }
            tables.end_session(tag, sid, epoch, now)?;
            Ok(Outcome::Done)
        })
        .await
    }

    pub(crate) async fn end_sessions(&self, tag: Id, caller: Id) -> Result<Outcome, Error> {
        self.write(move |tables, now| {
            if !tables.may_ask(tag, Some(caller), now)? {
                return Ok(Outcome::Refused);
            }
            tables.end_epoch(tag, now)?;
            tables.remove_sessions(tag)?;
            Ok(Outcome::Done)
        })
        .await
    }

    pub(crate) async fn keep_only(
        &self,
        tag: Id,
        sid: Id,
        epoch: Id,
        change: Option<Change<'_>>,
    ) -> Result<Outcome, Error> {
        let resetting = change.filter(|change| change.expected.user.password_resets_failures());
        let replacement = change.map(|Change { expected, user, .. }| Replacement {
            expected: expected.revision.clone(),
            record: encode_changed_user(user, expected),
            profile: access::profile(user),
        });
        let outcome = self.write(move |tables, now| keep_only(tables, (tag, sid), epoch, replacement, now)).await?;
        if let Some(Change { known, .. }) = resetting
            && outcome == Outcome::Done
        {
            self.counts.forget_guesses(tag, known);
        }
        Ok(outcome)
    }

    pub(crate) async fn remove_tokens(&self, tag: Id, caller: Option<Id>) -> Result<Outcome, Error> {
        self.write(move |tables, now| {
            if !tables.may_ask(tag, caller, now)? {
                return Ok(Outcome::Refused);
            }
            if !tables.epoch_lives(tag, now)? {
                return Ok(Outcome::NotThere);
            }
            tables.end_epoch(tag, now)?;
            Ok(Outcome::Done)
        })
        .await
    }
}

/// A sign-in with a correct password.
struct Opening {
    tag: Id,
    /// The record that the password was compared with.
    expected: Vec<u8>,
    /// The new record, if the account changes.
    changed: Option<Vec<u8>>,
    profile: Access,
    session: NewSession,
    policy: SessionPolicy,
}

impl Opening {
    /// Opens the session and returns its epoch. Returns `None` if the account no longer equals `expected`.
    fn carry_out(self, tables: &mut Tables<'_>, now: u64) -> Result<Option<Id>, Failure> {
        let Self { tag, expected, changed, profile, session, policy } = self;
        if !tables.is_unchanged(tag, &expected)? {
            return Ok(None);
        }
        let (mut epoch, sessions) = match tables.live_epoch(tag, now)? {
            Some(epoch) => {
                let sessions = tables.live_sessions(tag, epoch.entry.epoch, now)?;
                (epoch, sessions)
            }
            None => {
                // Removes the entries that the removal of an earlier epoch has orphaned.
                tables.remove_sessions(tag)?;
                (Live { expiry: 0, entry: EpochEntry::new(session.epoch, profile) }, Vec::new())
            }
        };
        for oldest in sessions.iter().take((sessions.len() + 1).saturating_sub(policy.max_sessions)) {
            tables.publish(oldest.sid.as_str(), epoch.expiry, now)?;
            tables.remove_session(tag, oldest.sid)?;
        }
        if let Some(record) = changed {
            tables.put_user(tag, &record)?;
        }
        let number = sessions.last().map_or(0, |newest| newest.number) + 1;
        let id = epoch.entry.epoch;
        let refresh = new_refresh_entry(id, number, session.refresh_id, session.origin, policy, now);
        let access_expiry = refresh.entry.cut(now + policy.access_seconds * 1_000);
        epoch.expiry = epoch.expiry.max(access_expiry).max(refresh.expiry);
        tables.put_epoch(tag, &epoch)?;
        tables.put_access(tag, session.sid, &Live { expiry: access_expiry, entry: AccessEntry::of(&refresh.entry) })?;
        tables.put_refresh(tag, session.sid, &refresh)?;
        Ok(Some(id))
    }
}

fn new_refresh_entry(
    epoch: Id,
    number: u64,
    refresh_id: Id,
    origin: Origin,
    policy: SessionPolicy,
    now: u64,
) -> Live<RefreshEntry> {
    let now_seconds = now / 1_000;
    let mut entry = RefreshEntry::new(epoch, refresh_id, number, now_seconds);
    entry.ends_at = policy.max_age_seconds.map(|longest| now_seconds.saturating_add(longest));
    entry.address = origin.ip;
    entry.user_agent = origin.user_agent;
    Live { expiry: entry.cut(now + policy.refresh_seconds * 1_000), entry }
}

/// The record that a change of the account writes.
struct Replacement {
    expected: Vec<u8>,
    record: Vec<u8>,
    profile: Access,
}

fn keep_only(
    tables: &mut Tables<'_>,
    (tag, sid): (Id, Id),
    new_epoch: Id,
    change: Option<Replacement>,
    now: u64,
) -> Result<Outcome, Failure> {
    let Some(mut epoch) = tables.live_epoch(tag, now)? else { return Ok(Outcome::Refused) };
    let Some(mut access) = tables.live_access(tag, sid, epoch.entry.epoch, now)? else {
        return Ok(Outcome::Refused);
    };
    let refresh = tables.live_refresh(tag, sid, epoch.entry.epoch, now)?;
    if let Some(Replacement { expected, record, profile }) = change {
        if !tables.is_unchanged(tag, &expected)? {
            return Ok(Outcome::NotThere);
        }
        tables.put_user(tag, &record)?;
        tables.remove_pending(tag, PendingKind::OF_A_PASSWORD)?;
        epoch.entry.set_profile(profile);
    }
    tables.publish(eid(epoch.entry.epoch).as_str(), epoch.expiry, now)?;
    tables.remove_sessions(tag)?;
    epoch.entry.epoch = new_epoch;
    epoch.expiry = access.expiry;
    access.entry.epoch = new_epoch;
    tables.put_access(tag, sid, &access)?;
    if let Some(mut refresh) = refresh {
        epoch.expiry = epoch.expiry.max(refresh.expiry);
        refresh.entry.epoch = new_epoch;
        tables.put_refresh(tag, sid, &refresh)?;
    }
    tables.put_epoch(tag, &epoch)?;
    Ok(Outcome::Done)
}

/// A session as its owner sees it. An access entry alone stores only the time of the sign-in.
fn listed(LiveSession { sid, created_at, refresh, .. }: LiveSession) -> Session {
    match refresh {
        Some(RefreshEntry { last_used_at, address, user_agent, .. }) => {
            Session { sid, created_at, last_used_at, origin: Origin { ip: address, user_agent } }
        }
        None => {
            let origin = Origin { ip: String::new(), user_agent: String::new() };
            Session { sid, created_at, last_used_at: created_at, origin }
        }
    }
}
