//! The removal of ended entries, a stretch of each table at a time.

use redb::{ReadableTable, ReadableTableMetadata, Table};

use super::tables::{EntryValue, Tables};

/// How many entries of a table one sweep reads at most.
const MOST_READ: usize = 4_096;
/// How many entries of a table one sweep removes at most.
const MOST_REMOVED: usize = 1_000;

/// Where the next sweep goes on in each table; empty for the start.
#[derive(Default)]
pub(super) struct Sweep {
    next_keys: [String; 3],
}

impl Sweep {
    /// Removes the entries of the next stretch that ended before `now` (milliseconds since the Unix epoch). `false` when no
    /// entry is left that could end.
    pub(super) fn run(&mut self, tables: &mut Tables<'_>, now: u64) -> Result<bool, redb::StorageError> {
        let mut any_left = false;
        let mut removed = false;
        for (table, next_key) in tables.ending().into_iter().zip(&mut self.next_keys) {
            let (ended, next) = stretch(table, next_key, now)?;
            for key in &ended {
                table.remove(key.as_str())?;
            }
            removed |= !ended.is_empty();
            any_left |= !table.is_empty()?;
            *next_key = next;
        }
        tables.changed |= removed;
        Ok(any_left)
    }
}

/// The keys of the ended entries of one stretch, and the first key of the next stretch.
fn stretch(
    table: &Table<'_, &'static str, EntryValue>,
    first: &str,
    now: u64,
) -> Result<(Vec<String>, String), redb::StorageError> {
    let mut ended = Vec::new();
    for (read, found) in table.range(first..)?.enumerate() {
        let (key, value) = found?;
        if read == MOST_READ || ended.len() == MOST_REMOVED {
            return Ok((ended, key.value().to_owned()));
        }
        if value.value().0 <= now {
            ended.push(key.value().to_owned());
        }
    }
    Ok((ended, String::new()))
}
