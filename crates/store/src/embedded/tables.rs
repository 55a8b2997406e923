//! The tables, and what each operation does to them inside a transaction.

use redb::{ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::writer::Changed;
use crate::{
    id::Id,
    session::{NewSession, Origin, Outcome, Refreshed, Session, SessionPolicy, Successor},
    store::record,
    throttle::KNOWN_ADDRESSES,
};

/// User tag to record and, in a second line, the user's epoch and its end in milliseconds, if it has one. (In a table of
/// its own the epoch would be one more look for each token check.)
pub(super) const USERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("users");
/// User tag and session id to [`SessionValue`].
pub(super) const SESSIONS: TableDefinition<'_, (&str, &str), SessionValue<'_>> = TableDefinition::new("sessions");
/// User tag and address digest to the time of the last sign-in from there, in seconds.
pub(super) const KNOWN: TableDefinition<'_, (&str, &str), u64> = TableDefinition::new("known_addresses");

/// Epoch, end of the access entry and end of the session in milliseconds, and [`Details`] as JSON.
pub(super) type SessionValue<'v> = (&'v str, u64, u64, &'v [u8]);

/// Sorts after every id.
const LAST: &str = "\u{7f}";
/// What one sweep looks at, and removes, at the most.
const SWEEP_LOOK: usize = 4_096;
const SWEEP_REMOVE: usize = 1_000;

/// What a token check does not need of a session. Times in seconds, but for `created_millis`, which orders sessions.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Details {
    refresh_id: Id,
    refresh_end: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spent: Option<Spent>,
    created_millis: u64,
    last_used_at: u64,
    ip: String,
    user_agent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_end: Option<u64>,
}

/// The refresh token that was spent for the present one.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Spent {
    id: Id,
    at: u64,
}

/// A session as read for a change.
struct Entry {
    epoch: Id,
    access_end: u64,
    end: u64,
    details: Details,
}

impl Entry {
    fn read((epoch, access_end, end, details): SessionValue<'_>) -> Option<Self> {
        let (epoch, details) = (Id::parse(epoch)?, serde_json::from_slice(details).ok()?);
        Some(Self { epoch, access_end, end, details })
    }
}

pub(super) type SessionKey = (Id, Id);

pub(super) struct Tables<'t> {
    users: Table<'t, &'static str, &'static [u8]>,
    sessions: Table<'t, (&'static str, &'static str), SessionValue<'static>>,
    known: Table<'t, (&'static str, &'static str), u64>,
    policy: SessionPolicy,
}

type Result<T> = std::result::Result<T, redb::Error>;

/// The epoch in a user's value, and its end.
pub(super) fn epoch(user: &[u8]) -> Option<(&str, u64)> {
    // From the end, as the record is the longer of the two lines.
    let line = &user[user.iter().rposition(|byte| *byte == b'\n')? + 1..];
    let (epoch, end) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    Some((epoch, end.parse().ok()?))
}

pub(super) fn live_epoch(user: &[u8], now: u64) -> Option<(Id, u64)> {
    let (epoch, end) = epoch(user).filter(|(_, end)| *end > now)?;
    Some((Id::parse(epoch)?, end))
}

/// The live sessions of `tag` in `epoch`, oldest first.
pub(super) fn live_sessions(
    sessions: &impl ReadableTable<(&'static str, &'static str), SessionValue<'static>>,
    tag: Id,
    epoch: Id,
    now: u64,
) -> Result<Vec<Session>> {
    let mut live = Vec::new();
    for entry in sessions.range((tag.as_str(), "")..(tag.as_str(), LAST))? {
        let (key, value) = entry?;
        let (Some(sid), Some(entry)) = (Id::parse(key.value().1), Entry::read(value.value())) else { continue };
        if entry.epoch == epoch && entry.end > now {
            let Details { created_millis, last_used_at, ip, user_agent, .. } = entry.details;
            let origin = Origin { ip, user_agent };
            live.push((created_millis, Session { sid, created_at: created_millis / 1_000, last_used_at, origin }));
        }
    }
    live.sort_by_key(|(created_millis, _)| *created_millis);
    Ok(live.into_iter().map(|(_, session)| session).collect())
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction, policy: SessionPolicy) -> Result<Self> {
        Ok(Self {
            users: transaction.open_table(USERS)?,
            sessions: transaction.open_table(SESSIONS)?,
            known: transaction.open_table(KNOWN)?,
            policy,
        })
    }

    pub(super) fn create_user(&mut self, tag: Id, record: &[u8]) -> Result<(Changed, bool)> {
        if self.users.get(tag.as_str())?.is_some() {
            return Ok((Changed::No, false));
        }
        self.users.insert(tag.as_str(), record)?;
        Ok((Changed::Yes, true))
    }

    pub(super) fn delete_user(
        &mut self,
        tag: Id,
        seen: Option<&[u8]>,
        asking: Option<Id>,
        now: u64,
    ) -> Result<(Changed, Outcome)> {
        if !self.may_ask(tag, asking, now)? {
            return Ok((Changed::No, Outcome::Refused));
        }
        let as_seen = |found: &[u8]| seen.is_none_or(|seen| seen == record(found));
        if !self.users.get(tag.as_str())?.is_some_and(|found| as_seen(found.value())) {
            return Ok((Changed::No, Outcome::NotThere));
        }
        self.users.remove(tag.as_str())?;
        self.known.retain_in((tag.as_str(), "")..(tag.as_str(), LAST), |_, _| false)?;
        Ok((Changed::Yes, Outcome::Done))
    }

    pub(super) fn open_session(
        &mut self,
        tag: Id,
        seen: &[u8],
        upgraded: Option<&[u8]>,
        new: &NewSession,
        address: Id,
        now: u64,
    ) -> Result<(Changed, bool)> {
        let Some(live_epoch) = self.epoch_of(tag, seen, now)? else { return Ok((Changed::No, false)) };
        let policy = self.policy;
        let (epoch, epoch_end) = live_epoch.unwrap_or((new.epoch, 0));
        let live = live_sessions(&self.sessions, tag, epoch, now)?;
        for oldest in live.iter().take((live.len() + 1).saturating_sub(policy.max_sessions)) {
            self.sessions.remove((tag.as_str(), oldest.sid.as_str()))?;
        }
        let longest = policy.max_age_seconds.unwrap_or(u64::MAX);
        let end = now + policy.refresh_seconds.min(longest) * 1_000;
        let access_end = now + policy.access_seconds.min(longest) * 1_000;
        self.put_user(tag, upgraded.unwrap_or(seen), Some((epoch, epoch_end.max(end))))?;
        let details = Details {
            refresh_id: new.refresh_id,
            refresh_end: end / 1_000,
            spent: None,
            created_millis: now,
            last_used_at: now / 1_000,
            ip: new.origin.ip.clone(),
            user_agent: new.origin.user_agent.clone(),
            session_end: policy.max_age_seconds.map(|longest| now / 1_000 + longest),
        };
        self.put_session(tag, new.sid, &Entry { epoch, access_end, end, details })?;
        self.remember_address(tag, address, now / 1_000)?;
        Ok((Changed::Yes, true))
    }

    pub(super) fn refresh(
        &mut self,
        tag: Id,
        sid: Id,
        refresh_id: Id,
        next_id: Option<Id>,
        now: u64,
    ) -> Result<(Changed, Refreshed)> {
        let Some((mut entry, epoch_end)) = self.live_session(tag, sid, now)? else {
            return Ok((Changed::No, Refreshed::Gone));
        };
        let policy = self.policy;
        let (details, seconds) = (&mut entry.details, now / 1_000);
        let session_end = details.session_end.unwrap_or(u64::MAX);
        let left = session_end.saturating_sub(seconds);
        if left == 0 || details.refresh_end <= seconds {
            return Ok((Changed::No, Refreshed::Gone));
        }
        if refresh_id != details.refresh_id {
            if !in_grace(details, refresh_id, policy, seconds) {
                self.remove_session(tag, sid, entry.epoch, now)?;
                return Ok((Changed::Yes, Refreshed::Reused));
            }
        } else if let Some(next_id) = next_id {
            details.spent = Some(Spent { id: refresh_id, at: seconds });
            details.refresh_id = next_id;
        }
        let access_seconds = policy.access_seconds.min(left);
        details.last_used_at = seconds;
        let successor = details.spent.filter(|_| next_id.is_some()).map(|spent| Successor {
            refresh_id: details.refresh_id,
            iat: spent.at,
            exp: (spent.at + policy.refresh_seconds).min(session_end),
        });
        if let Some(successor) = successor {
            details.refresh_end = successor.exp;
        }
        entry.access_end = entry.access_end.max(now + access_seconds * 1_000);
        // A successor that is given again ends when it would have.
        let refresh_seconds = successor.map_or(0, |successor| successor.exp.saturating_sub(seconds));
        // Session and epoch live exactly as long as the last token, so that removal can tell whether there was one.
        entry.end = entry.end.max(now + access_seconds.max(refresh_seconds) * 1_000);
        if entry.end > epoch_end {
            self.put_epoch(tag, Some((entry.epoch, entry.end)))?;
        }
        self.put_session(tag, sid, &entry)?;
        Ok((Changed::Yes, Refreshed::Live { access_seconds, successor }))
    }

    pub(super) fn renew(&mut self, tag: Id, sid: Id, refresh_id: Id, now: u64) -> Result<(Changed, Option<u64>)> {
        let Some((mut entry, _)) = self.live_session(tag, sid, now)? else { return Ok((Changed::No, None)) };
        let details = &entry.details;
        let valid = refresh_id == details.refresh_id || in_grace(details, refresh_id, self.policy, now / 1_000);
        let seconds = self.policy.access_seconds.min(details.refresh_end.saturating_sub(now / 1_000));
        if !valid || seconds == 0 {
            return Ok((Changed::No, None));
        }
        entry.access_end = entry.access_end.max(now + seconds * 1_000);
        self.put_session(tag, sid, &entry)?;
        Ok((Changed::Yes, Some(seconds)))
    }

    pub(super) fn end_session(&mut self, tag: Id, sid: Id, asking: Option<Id>, now: u64) -> Result<(Changed, Outcome)> {
        if !self.may_ask(tag, asking, now)? {
            return Ok((Changed::No, Outcome::Refused));
        }
        let Some((entry, _)) = self.live_session(tag, sid, now)? else {
            return Ok((Changed::No, Outcome::NotThere));
        };
        self.remove_session(tag, sid, entry.epoch, now)?;
        Ok((Changed::Yes, Outcome::Done))
    }

    pub(super) fn keep_only(
        &mut self,
        tag: Id,
        sid: Id,
        epoch: Id,
        change: Option<(&[u8], &[u8])>,
        now: u64,
    ) -> Result<(Changed, Outcome)> {
        let Some((mut entry, epoch_end)) = self.live_session(tag, sid, now)?.filter(|(e, _)| e.access_end > now) else {
            return Ok((Changed::No, Outcome::Refused));
        };
        entry.epoch = epoch;
        match change {
            Some((seen, record)) => {
                if self.epoch_of(tag, seen, now)?.is_none() {
                    return Ok((Changed::No, Outcome::NotThere));
                }
                self.put_user(tag, record, Some((epoch, epoch_end)))?;
            }
            None => self.put_epoch(tag, Some((epoch, epoch_end)))?,
        }
        self.put_session(tag, sid, &entry)?;
        Ok((Changed::Yes, Outcome::Done))
    }

    pub(super) fn remove_tokens(&mut self, tag: Id, asking: Option<Id>, now: u64) -> Result<(Changed, Outcome)> {
        if !self.may_ask(tag, asking, now)? {
            return Ok((Changed::No, Outcome::Refused));
        }
        if self.live_epoch(tag, now)?.is_none() {
            return Ok((Changed::No, Outcome::NotThere));
        }
        self.put_epoch(tag, None)?;
        Ok((Changed::Yes, Outcome::Done))
    }

    /// Removes what has expired from a stretch of the sessions; also returns where the next stretch begins, and whether
    /// any session is left.
    pub(super) fn sweep(&mut self, from: Option<SessionKey>, now: u64) -> Result<(Changed, Option<SessionKey>, bool)> {
        let (dead, next) = self.dead_sessions(from, now)?;
        for (tag, sid) in &dead {
            self.sessions.remove((tag.as_str(), sid.as_str()))?;
        }
        let changed = if dead.is_empty() { Changed::No } else { Changed::Yes };
        Ok((changed, next, self.sessions.len()? > 0))
    }

    fn dead_sessions(&self, from: Option<SessionKey>, now: u64) -> Result<(Vec<SessionKey>, Option<SessionKey>)> {
        let start = from.as_ref().map_or(("", ""), |(tag, sid)| (tag.as_str(), sid.as_str()));
        let mut dead = Vec::new();
        for (looked_at, entry) in self.sessions.range(start..)?.enumerate() {
            let (key, value) = entry?;
            let (tag, sid) = key.value();
            let Some(key) = Id::parse(tag).zip(Id::parse(sid)) else { continue };
            if looked_at == SWEEP_LOOK || dead.len() == SWEEP_REMOVE {
                return Ok((dead, Some(key)));
            }
            if value.value().2 <= now {
                dead.push(key);
            }
        }
        Ok((dead, None))
    }

    /// Whether the session that asks, if any, has a live access entry.
    fn may_ask(&self, tag: Id, asking: Option<Id>, now: u64) -> Result<bool> {
        let Some(sid) = asking else { return Ok(true) };
        Ok(self.live_session(tag, sid, now)?.is_some_and(|(entry, _)| entry.access_end > now))
    }

    /// A session of the user's present epoch, with that epoch's end.
    fn live_session(&self, tag: Id, sid: Id, now: u64) -> Result<Option<(Entry, u64)>> {
        let Some((epoch, epoch_end)) = self.live_epoch(tag, now)? else { return Ok(None) };
        let Some(found) = self.sessions.get((tag.as_str(), sid.as_str()))? else { return Ok(None) };
        let entry = Entry::read(found.value()).filter(|entry| entry.epoch == epoch && entry.end > now);
        Ok(entry.map(|entry| (entry, epoch_end)))
    }

    fn live_epoch(&self, tag: Id, now: u64) -> Result<Option<(Id, u64)>> {
        Ok(self.users.get(tag.as_str())?.and_then(|user| live_epoch(user.value(), now)))
    }

    /// Nothing if the account is gone or is not as it was seen; else its epoch, if that lives.
    fn epoch_of(&self, tag: Id, seen: &[u8], now: u64) -> Result<Option<Option<(Id, u64)>>> {
        let user = self.users.get(tag.as_str())?;
        let user = user.as_ref().map(|user| user.value()).filter(|user| record(user) == seen);
        Ok(user.map(|user| live_epoch(user, now)))
    }

    /// Removes one session, and the epoch with the last one.
    fn remove_session(&mut self, tag: Id, sid: Id, epoch: Id, now: u64) -> Result<()> {
        self.sessions.remove((tag.as_str(), sid.as_str()))?;
        if live_sessions(&self.sessions, tag, epoch, now)?.is_empty() {
            self.put_epoch(tag, None)?;
        }
        Ok(())
    }

    /// Changes nothing else of the account, and nothing if there is none.
    fn put_epoch(&mut self, tag: Id, epoch: Option<(Id, u64)>) -> Result<()> {
        let record = self.users.get(tag.as_str())?.map(|user| record(user.value()).to_vec());
        record.map_or(Ok(()), |record| self.put_user(tag, &record, epoch))
    }

    fn put_user(&mut self, tag: Id, record: &[u8], epoch: Option<(Id, u64)>) -> Result<()> {
        let epoch = epoch.map(|(epoch, end)| format!("\n{epoch} {end}")).unwrap_or_default();
        self.users.insert(tag.as_str(), [record, epoch.as_bytes()].concat().as_slice())?;
        Ok(())
    }

    fn put_session(&mut self, tag: Id, sid: Id, entry: &Entry) -> Result<()> {
        // A struct of text and numbers always serializes.
        let details = serde_json::to_vec(&entry.details).unwrap_or_default();
        let value = (entry.epoch.as_str(), entry.access_end, entry.end, details.as_slice());
        self.sessions.insert((tag.as_str(), sid.as_str()), value)?;
        Ok(())
    }

    fn remember_address(&mut self, tag: Id, address: Id, now_seconds: u64) -> Result<()> {
        self.known.insert((tag.as_str(), address.as_str()), now_seconds)?;
        let mut known = Vec::new();
        for entry in self.known.range((tag.as_str(), "")..(tag.as_str(), LAST))? {
            let (key, at) = entry?;
            known.extend(Id::parse(key.value().1).map(|address| (at.value(), address)));
        }
        known.sort_unstable_by(|a, b| b.cmp(a));
        for (_, longest_ago) in known.iter().skip(KNOWN_ADDRESSES) {
            self.known.remove((tag.as_str(), longest_ago.as_str()))?;
        }
        Ok(())
    }
}

fn in_grace(details: &Details, refresh_id: Id, policy: SessionPolicy, now_seconds: u64) -> bool {
    // The clock may have been set back since.
    let since = |at: u64| now_seconds.saturating_sub(at);
    details.spent.is_some_and(|spent| spent.id == refresh_id && since(spent.at) <= policy.grace_seconds)
}
