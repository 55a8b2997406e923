//! Reads the last committed state, and creates the tables of a new file.

use auth_service_records::{
    error::Error,
    revocation::{Revocation, StreamId},
};
use redb::{AccessGuard, Database, ReadOnlyTable, ReadableDatabase, ReadableTable};

use super::{
    definitions::{
        ACCESS, DEAD_LETTERS, EPOCHS, EntryValue, EventValue, FORMAT, FORMAT_KEY, FORMATS, FormatError, KEY_SETS,
        OUTBOX, PENDING, REFRESH, REVOCATIONS, TIMES, USERS, feed_key,
    },
    reads::Reads,
};
use crate::embedded::failure::Failure;

/// The tables as they were after one commit.
pub(in crate::embedded) struct Snapshot {
    users: ReadOnlyTable<&'static str, &'static [u8]>,
    epochs: ReadOnlyTable<&'static str, EntryValue>,
    access: ReadOnlyTable<&'static str, EntryValue>,
    refresh: ReadOnlyTable<&'static str, EntryValue>,
    pending: ReadOnlyTable<&'static str, EntryValue>,
    key_sets: ReadOnlyTable<&'static str, &'static [u8]>,
    revocations: ReadOnlyTable<&'static str, EntryValue>,
    pub(super) outbox: ReadOnlyTable<&'static str, EventValue>,
    pub(super) dead_letters: ReadOnlyTable<&'static str, EventValue>,
}

impl Snapshot {
    pub(in crate::embedded) fn of(database: &Database) -> Result<Self, redb::Error> {
        let transaction = database.begin_read()?;
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
        })
    }

    /// Up to `limit` entries of the feed from `from` on, oldest first.
    pub(in crate::embedded) fn revocations(&self, from: StreamId, limit: usize) -> Result<Vec<Revocation>, Failure> {
        let rows = self.revocations.range(feed_key(from).as_str()..)?.take(limit);
        let revocation = |row: Result<(AccessGuard<'_, &str>, AccessGuard<'_, EntryValue>), redb::StorageError>| {
            let (key, value) = row?;
            let id = StreamId::parse(key.value()).ok_or_else(unreadable)?;
            let revoked = String::from_utf8(value.value().1.to_vec()).map_err(|_| unreadable())?;
            Ok(Revocation { id, revoked: vec![revoked] })
        };
        rows.map(revocation).collect()
    }
}

fn unreadable() -> Error {
    Error::Internal("a revocation cannot be read".to_owned())
}

impl Reads for Snapshot {
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

/// Checks the format of the file, and creates the tables of a new file.
pub(in crate::embedded) fn prepare(database: &Database) -> Result<(), FormatError> {
    let transaction = database.begin_write()?;
    let is_new = transaction.list_tables()?.next().is_none();
    {
        let mut formats = transaction.open_table(FORMATS)?;
        let format = formats.get(FORMAT_KEY)?.map(|format| format.value());
        match format {
            Some(FORMAT) => {}
            Some(_) => return Err(FormatError::Later),
            None if is_new => drop(formats.insert(FORMAT_KEY, FORMAT)?),
            None => return Err(FormatError::Unknown),
        }
    }
    transaction.open_table(USERS)?;
    transaction.open_table(KEY_SETS)?;
    transaction.open_table(TIMES)?;
    for events in [OUTBOX, DEAD_LETTERS] {
        transaction.open_table(events)?;
    }
    for entries in [EPOCHS, ACCESS, REFRESH, PENDING, REVOCATIONS] {
        transaction.open_table(entries)?;
    }
    Ok(transaction.commit()?)
}
