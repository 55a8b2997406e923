//! Reads live entries, from a snapshot or inside a transaction.

use std::{
    collections::HashMap,
    ops::Bound::{Excluded, Unbounded},
};

use auth_service_records::session::Access;
use auth_service_token::Id;
use redb::ReadableTable;

use super::{
    definitions::{EntryValue, KEY_SET_KEY, pending_key, session_key, session_keys, sid_in},
    entries::{AccessEntry, EpochEntry, RefreshEntry},
};
use crate::{
    access,
    change::PendingKind,
    embedded::failure::Failure,
    versioned::{Versioned, decode},
};

/// An entry that has not expired.
#[derive(Debug)]
pub(in crate::embedded) struct Live<E> {
    /// The expiry, in milliseconds since the Unix epoch.
    pub(in crate::embedded) expiry: u64,
    pub(in crate::embedded) entry: E,
}

/// A session with at least one live entry of the user's epoch.
#[derive(Debug)]
pub(in crate::embedded) struct LiveSession {
    pub(in crate::embedded) sid: Id,
    /// The latest expiry of its entries, in milliseconds since the Unix epoch.
    pub(in crate::embedded) expiry: u64,
    /// See [`RefreshEntry::created_at`].
    pub(in crate::embedded) created_at: u64,
    /// See [`RefreshEntry::number`].
    pub(in crate::embedded) number: u64,
    /// `None` if only the access entry is live, which happens after a late refresh without rotation.
    pub(in crate::embedded) refresh: Option<RefreshEntry>,
}

type Result<T> = std::result::Result<T, Failure>;

/// Reads of the tables. `now` is in milliseconds since the Unix epoch.
pub(in crate::embedded) trait Reads {
    fn users(&self) -> &impl ReadableTable<&'static str, &'static [u8]>;
    fn epochs(&self) -> &impl ReadableTable<&'static str, EntryValue>;
    fn access(&self) -> &impl ReadableTable<&'static str, EntryValue>;
    fn refresh(&self) -> &impl ReadableTable<&'static str, EntryValue>;
    fn pending(&self) -> &impl ReadableTable<&'static str, EntryValue>;
    fn key_sets(&self) -> &impl ReadableTable<&'static str, &'static [u8]>;

    /// The record of the key set.
    fn key_set(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.key_sets().get(KEY_SET_KEY)?.map(|record| record.value().to_vec()))
    }

    /// The record of the account.
    fn record(&self, tag: Id) -> Result<Option<Vec<u8>>> {
        Ok(self.users().get(tag.as_str())?.map(|record| record.value().to_vec()))
    }

    /// The records of up to `limit` accounts whose keys follow `after`, with their keys.
    fn records_after(&self, after: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>> {
        let rows = self.users().range::<&str>((Excluded(after), Unbounded))?.take(limit);
        rows.map(|row| row.map(|(key, record)| (key.value().to_owned(), record.value().to_vec())))
            .collect::<std::result::Result<_, _>>()
            .map_err(Failure::from)
    }

    /// Whether the record of the account is still `revision`.
    fn is_unchanged(&self, tag: Id, revision: &[u8]) -> Result<bool> {
        Ok(self.users().get(tag.as_str())?.is_some_and(|record| record.value() == revision))
    }

    /// The value of a pending entry that has not expired.
    fn live_pending(&self, tag: Id, kind: PendingKind, now: u64) -> Result<Option<Vec<u8>>> {
        let found = self.pending().get(pending_key(tag, kind).as_str())?;
        Ok(found.filter(|found| found.value().0 > now).map(|found| found.value().1.to_vec()))
    }

    fn live_epoch(&self, tag: Id, now: u64) -> Result<Option<Live<EpochEntry>>> {
        live(self.epochs(), tag.as_str(), now)
    }

    /// Whether the user has a live epoch. Does not decode the entry, so that an entry of a later version counts too.
    fn epoch_lives(&self, tag: Id, now: u64) -> Result<bool> {
        Ok(self.epochs().get(tag.as_str())?.is_some_and(|found| found.value().0 > now))
    }

    /// The access entry of the session, if the entry has this epoch.
    fn live_access(&self, tag: Id, sid: Id, epoch: Id, now: u64) -> Result<Option<Live<AccessEntry>>> {
        let access: Option<Live<AccessEntry>> = live(self.access(), &session_key(tag, sid), now)?;
        Ok(access.filter(|access| access.entry.epoch == epoch))
    }

    /// The refresh entry of the session, if the entry has this epoch.
    fn live_refresh(&self, tag: Id, sid: Id, epoch: Id, now: u64) -> Result<Option<Live<RefreshEntry>>> {
        let refresh: Option<Live<RefreshEntry>> = live(self.refresh(), &session_key(tag, sid), now)?;
        Ok(refresh.filter(|refresh| refresh.entry.epoch == epoch))
    }

    /// The answer to a token check. `None` if the session has no live access entry of the user's epoch.
    fn check_access(&self, tag: Id, sid: Id, now: u64) -> Result<Option<Access>> {
        let found = (self.epochs().get(tag.as_str())?, self.access().get(session_key(tag, sid).as_str())?);
        let (Some(epoch), Some(access)) = found else { return Ok(None) };
        let ((epoch_expiry, epoch), (access_expiry, access)) = (epoch.value(), access.value());
        if epoch_expiry.min(access_expiry) <= now {
            return Ok(None);
        }
        Ok(access::check(epoch, access)?)
    }

    /// Whether the session `caller` has a live access entry. `true` if there is no `caller`.
    fn may_ask(&self, tag: Id, caller: Option<Id>, now: u64) -> Result<bool> {
        match caller {
            Some(sid) => Ok(self.check_access(tag, sid, now)?.is_some()),
            None => Ok(true),
        }
    }

    /// The user's live sessions, oldest first.
    fn live_sessions(&self, tag: Id, epoch: Id, now: u64) -> Result<Vec<LiveSession>> {
        let mut sessions = HashMap::new();
        each_live(self.refresh(), tag, now, |sid, Live { expiry, entry }: Live<RefreshEntry>| {
            if entry.epoch == epoch {
                let RefreshEntry { created_at, number, .. } = entry;
                sessions.insert(sid, LiveSession { sid, expiry, created_at, number, refresh: Some(entry) });
            }
        })?;
        each_live(self.access(), tag, now, |sid, Live { expiry, entry }: Live<AccessEntry>| {
            if entry.epoch == epoch {
                let AccessEntry { created_at, number, .. } = entry;
                let alone = LiveSession { sid, expiry, created_at, number, refresh: None };
                let session = sessions.entry(sid).or_insert(alone);
                session.expiry = session.expiry.max(expiry);
            }
        })?;
        let mut sessions: Vec<_> = sessions.into_values().collect();
        sessions.sort_by_key(|session| session.number);
        Ok(sessions)
    }
}

fn live<E: Versioned>(
    table: &impl ReadableTable<&'static str, EntryValue>,
    key: &str,
    now: u64,
) -> Result<Option<Live<E>>> {
    let Some(found) = table.get(key)? else { return Ok(None) };
    let (expiry, json) = found.value();
    if expiry <= now { Ok(None) } else { Ok(Some(Live { expiry, entry: decode(json)? })) }
}

fn each_live<E: Versioned>(
    table: &impl ReadableTable<&'static str, EntryValue>,
    tag: Id,
    now: u64,
    mut take: impl FnMut(Id, Live<E>),
) -> Result<()> {
    let (first, after) = session_keys(tag);
    for found in table.range(first.as_str()..after.as_str())? {
        let (key, value) = found?;
        let (expiry, json) = value.value();
        if let Some(sid) = sid_in(key.value())
            && expiry > now
        {
            take(sid, Live { expiry, entry: decode(json)? });
        }
    }
    Ok(())
}
