//! Writes entries inside a transaction.

use auth_service_records::{
    revocation::{MARGIN_SECONDS, StreamId},
    session::eid,
};
use auth_service_token::{Id, LEEWAY_SECONDS};
use redb::{ReadableTable, Table, Value, WriteTransaction};

use super::{
    definitions::{
        ACCESS, DEAD_LETTERS, EPOCHS, EntryValue, EventValue, KEY_SET_KEY, KEY_SETS, OUTBOX, PENDING, REFRESH,
        REVOCATIONS, TIME_KEY, TIMES, TimeValue, USERS, feed_key, pending_key, session_key, session_keys,
    },
    entries::{AccessEntry, EpochEntry, EpochId, RefreshEntry, encode},
    reads::{Live, Reads},
};
use crate::{
    change::PendingKind,
    embedded::{
        boot::{BootTime, LastTime},
        failure::Failure,
    },
};

/// The tables of a transaction.
pub(in crate::embedded) struct Tables<'t> {
    users: Table<'t, &'static str, &'static [u8]>,
    epochs: Table<'t, &'static str, EntryValue>,
    access: Table<'t, &'static str, EntryValue>,
    refresh: Table<'t, &'static str, EntryValue>,
    pending: Table<'t, &'static str, EntryValue>,
    key_sets: Table<'t, &'static str, &'static [u8]>,
    revocations: Table<'t, &'static str, EntryValue>,
    pub(super) outbox: Table<'t, &'static str, EventValue>,
    pub(super) dead_letters: Table<'t, &'static str, EventValue>,
    times: Table<'t, &'static str, TimeValue>,
    /// Whether anything was written.
    pub(in crate::embedded) changed: bool,
}

type Result<T> = std::result::Result<T, Failure>;

impl<'t> Tables<'t> {
    pub(in crate::embedded) fn open(transaction: &'t WriteTransaction) -> std::result::Result<Self, redb::Error> {
        Ok(Self {
            users: transaction.open_table(USERS)?,
            epochs: transaction.open_table(EPOCHS)?,
            access: transaction.open_table(ACCESS)?,
            refresh: transaction.open_table(REFRESH)?,
            pending: transaction.open_table(PENDING)?,
            key_sets: transaction.open_table(KEY_SETS)?,
            revocations: transaction.open_table(REVOCATIONS)?,
            outbox: transaction.open_table(OUTBOX)?,
            dead_letters: transaction.open_table(DEAD_LETTERS)?,
            times: transaction.open_table(TIMES)?,
            changed: false,
        })
    }

    pub(in crate::embedded) fn put_user(&mut self, tag: Id, record: &[u8]) -> Result<()> {
        self.changed = true;
        self.users.insert(tag.as_str(), record)?;
        Ok(())
    }

    pub(in crate::embedded) fn put_epoch(&mut self, tag: Id, epoch: &Live<EpochEntry>) -> Result<()> {
        self.changed = true;
        self.epochs.insert(tag.as_str(), (epoch.expiry, encode(&epoch.entry).as_slice()))?;
        Ok(())
    }

    pub(in crate::embedded) fn put_access(&mut self, tag: Id, sid: Id, access: &Live<AccessEntry>) -> Result<()> {
        self.changed = true;
        self.access.insert(session_key(tag, sid).as_str(), (access.expiry, encode(&access.entry).as_slice()))?;
        Ok(())
    }

    pub(in crate::embedded) fn put_refresh(&mut self, tag: Id, sid: Id, refresh: &Live<RefreshEntry>) -> Result<()> {
        self.changed = true;
        self.refresh.insert(session_key(tag, sid).as_str(), (refresh.expiry, encode(&refresh.entry).as_slice()))?;
        Ok(())
    }

    /// Writes an entry that expires at `expiry`, in milliseconds since the Unix epoch.
    pub(in crate::embedded) fn put_pending(
        &mut self,
        tag: Id,
        kind: PendingKind,
        value: &[u8],
        expiry: u64,
    ) -> Result<()> {
        self.changed = true;
        self.pending.insert(pending_key(tag, kind).as_str(), (expiry, value))?;
        Ok(())
    }

    pub(in crate::embedded) fn remove_pending(
        &mut self,
        tag: Id,
        kinds: impl IntoIterator<Item = PendingKind>,
    ) -> Result<()> {
        self.changed = true;
        for kind in kinds {
            self.pending.remove(pending_key(tag, kind).as_str())?;
        }
        Ok(())
    }

    /// Removes the account with all its entries, and publishes the end of its epoch.
    pub(in crate::embedded) fn remove_account(&mut self, tag: Id, now: u64) -> Result<()> {
        self.changed = true;
        self.users.remove(tag.as_str())?;
        self.remove_pending(tag, PendingKind::ALL)?;
        self.end_epoch(tag, now)?;
        self.remove_sessions(tag)
    }

    pub(in crate::embedded) fn remove_epoch(&mut self, tag: Id) -> Result<()> {
        self.changed = true;
        self.epochs.remove(tag.as_str())?;
        Ok(())
    }

    /// Adds an id to the feed of revocations. `tokens_expire` is the time at which the last token that the id concerns
    /// expires.
    pub(in crate::embedded) fn publish(&mut self, id: &str, tokens_expire: u64, now: u64) -> Result<()> {
        self.changed = true;
        let place = next_place(&self.revocations, now)?;
        let expiry = tokens_expire.saturating_add((LEEWAY_SECONDS + MARGIN_SECONDS) * 1_000);
        self.revocations.insert(feed_key(place).as_str(), (expiry, id.as_bytes()))?;
        Ok(())
    }

    /// Removes the epoch, and publishes its end in the same transaction. Decodes as little of the entry as possible, so
    /// that an entry of a later version ends too.
    pub(in crate::embedded) fn end_epoch(&mut self, tag: Id, now: u64) -> Result<()> {
        let found = self.epochs.get(tag.as_str())?.map(|found| {
            let (expiry, json) = found.value();
            (expiry, serde_json::from_slice::<EpochId>(json).ok())
        });
        if let Some((expiry, Some(EpochId { epoch }))) = found
            && expiry > now
        {
            self.publish(eid(epoch).as_str(), expiry, now)?;
        }
        self.remove_epoch(tag)
    }

    /// Removes both entries of one session.
    pub(in crate::embedded) fn remove_session(&mut self, tag: Id, sid: Id) -> Result<()> {
        self.changed = true;
        let key = session_key(tag, sid);
        self.access.remove(key.as_str())?;
        self.refresh.remove(key.as_str())?;
        Ok(())
    }

    /// Removes the entries of all sessions of the user, whatever their epoch.
    pub(in crate::embedded) fn remove_sessions(&mut self, tag: Id) -> Result<()> {
        self.changed = true;
        let (first, after) = session_keys(tag);
        for table in [&mut self.access, &mut self.refresh] {
            table.retain_in(first.as_str()..after.as_str(), |_, _| false)?;
        }
        Ok(())
    }

    /// Ends one session of the live `epoch`. The epoch then expires with the last of the user's other sessions.
    pub(in crate::embedded) fn end_session(
        &mut self,
        tag: Id,
        sid: Id,
        mut epoch: Live<EpochEntry>,
        now: u64,
    ) -> Result<()> {
        let sessions = self.live_sessions(tag, epoch.entry.epoch, now)?;
        self.publish(sid.as_str(), epoch.expiry, now)?;
        let others_expiry = sessions.iter().filter(|session| session.sid != sid).map(|session| session.expiry).max();
        self.remove_session(tag, sid)?;
        match others_expiry {
            Some(expiry) => {
                epoch.expiry = expiry;
                self.put_epoch(tag, &epoch)
            }
            None => self.remove_epoch(tag),
        }
    }

    pub(in crate::embedded) fn put_key_set(&mut self, record: &[u8]) -> Result<()> {
        self.changed = true;
        self.key_sets.insert(KEY_SET_KEY, record)?;
        Ok(())
    }

    /// The time of the last write.
    pub(in crate::embedded) fn last_time(&self) -> std::result::Result<Option<LastTime>, redb::StorageError> {
        Ok(self.times.get(TIME_KEY)?.map(|found| {
            let (millis, boot, since_boot) = found.value();
            let machine = BootTime { boot: boot.to_owned(), millis: since_boot };
            LastTime { millis, machine: Some(machine).filter(|machine| !machine.boot.is_empty()) }
        }))
    }

    /// Records the time of this write.
    pub(in crate::embedded) fn put_time(&mut self, time: &LastTime) -> std::result::Result<(), redb::StorageError> {
        let (boot, since_boot) = time.machine.as_ref().map_or(("", 0), |machine| (&machine.boot, machine.millis));
        self.times.insert(TIME_KEY, (time.millis, boot, since_boot))?;
        Ok(())
    }

    /// Whether any user has a token at the time `now`, in milliseconds since the Unix epoch. An epoch expires with the
    /// last token of its user.
    pub(in crate::embedded) fn anyone_is_signed_in(&self, now: u64) -> std::result::Result<bool, redb::StorageError> {
        for found in self.epochs.iter()? {
            if found?.1.value().0 > now {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes the sessions and the pending entries of all users. The feed stays, because verifiers elsewhere have a
    /// clock of their own.
    pub(in crate::embedded) fn remove_all_sessions(&mut self) -> std::result::Result<(), redb::StorageError> {
        self.changed = true;
        for table in self.entries() {
            table.retain(|_, _| false)?;
        }
        self.pending.retain(|_, _| false)?;
        Ok(())
    }

    /// The tables of epochs and sessions.
    pub(in crate::embedded) fn entries(&mut self) -> [&mut Table<'t, &'static str, EntryValue>; 3] {
        [&mut self.epochs, &mut self.access, &mut self.refresh]
    }

    /// The tables whose entries expire.
    pub(in crate::embedded) fn expiring(&mut self) -> [&mut Table<'t, &'static str, EntryValue>; 5] {
        [&mut self.epochs, &mut self.access, &mut self.refresh, &mut self.pending, &mut self.revocations]
    }
}

/// The place of a new entry of a stream, after all others. The clock may show an earlier time than before a restart.
pub(super) fn next_place<V: Value>(table: &Table<'_, &'static str, V>, now: u64) -> Result<StreamId> {
    let last = table.last()?.and_then(|(key, _)| StreamId::parse(key.value()));
    Ok(StreamId { millis: now, number: 0 }.max(last.map(StreamId::next).unwrap_or_default()))
}

impl Reads for Tables<'_> {
    fn users(&self) -> &impl ReadableTable<&'static str, &'static [u8]> {
        &self.users
    }

    fn epochs(&self) -> &impl ReadableTable<&'static str, EntryValue> {
        &self.epochs
    }

    fn access(&self) -> &impl ReadableTable<&'static str, EntryValue> {
        &self.access
    }

    fn refresh(&self) -> &impl ReadableTable<&'static str, EntryValue> {
        &self.refresh
    }

    fn pending(&self) -> &impl ReadableTable<&'static str, EntryValue> {
        &self.pending
    }

    fn key_sets(&self) -> &impl ReadableTable<&'static str, &'static [u8]> {
        &self.key_sets
    }
}
