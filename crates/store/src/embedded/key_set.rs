//! The key set. `key_set/operations.rs` of the store has the contracts.

use auth_service_records::error::Error;

use super::{store::Embedded, tables::Reads};

impl Embedded {
    pub(crate) fn key_set(&self) -> Result<Option<Vec<u8>>, Error> {
        self.read(|snapshot, _| snapshot.key_set())
    }

    pub(crate) async fn replace_key_set(&self, read: Vec<u8>, next: Vec<u8>, latest: u64) -> Result<bool, Error> {
        self.write(move |tables, now| {
            let is_current = tables.key_set()?.unwrap_or_default() == read && now / 1_000 <= latest;
            if is_current {
                tables.put_key_set(&next)?;
            }
            Ok(is_current)
        })
        .await
    }
}
