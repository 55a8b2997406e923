//! Removes expired entries, a range of each table at a time.

use redb::{ReadableTable, ReadableTableMetadata, Table};

use super::tables::{EntryValue, Tables};

/// The maximum number of entries of a table that one sweep reads.
const MOST_READ: usize = 4_096;
/// The maximum number of entries of a table that one sweep removes.
const MOST_REMOVED: usize = 1_000;

/// The key at which the next sweep continues in each table. An empty key stands for the start.
#[derive(Default)]
pub(super) struct Sweep {
    next_keys: [String; 5],
}

impl Sweep {
    /// Removes the entries of the next range that have expired at the time `now`, in milliseconds since the Unix epoch.
    /// Returns `false` if no entry is left that could expire.
    pub(super) fn run(&mut self, tables: &mut Tables<'_>, now: u64) -> Result<bool, redb::StorageError> {
        let mut any_left = false;
        let mut removed = false;
        for (table, next_key) in tables.expiring().into_iter().zip(&mut self.next_keys) {
            let (expired, next) = range(table, next_key, now)?;
            for key in &expired {
                table.remove(key.as_str())?;
            }
            removed |= !expired.is_empty();
            any_left |= !table.is_empty()?;
            *next_key = next;
        }
        tables.changed |= removed;
        Ok(any_left)
    }
}

/// The keys of the expired entries in one range, and the first key of the next range.
fn range(
    table: &Table<'_, &'static str, EntryValue>,
    first: &str,
    now: u64,
) -> Result<(Vec<String>, String), redb::StorageError> {
    let mut expired = Vec::new();
    for (read, found) in table.range(first..)?.enumerate() {
        let (key, value) = found?;
        if read == MOST_READ || expired.len() == MOST_REMOVED {
            return Ok((expired, key.value().to_owned()));
        }
        if value.value().0 <= now {
            expired.push(key.value().to_owned());
        }
    }
    Ok((expired, String::new()))
}
