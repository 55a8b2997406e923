//! The operations on pending entries. `pending.rs` of the store has their contracts.

use auth_service_records::error::Error;
use auth_service_token::Id;

use super::{store::Embedded, tables::Reads};
use crate::change::PendingKind;

impl Embedded {
    pub(crate) async fn put_pending(
        &self,
        tag: Id,
        kind: PendingKind,
        value: &[u8],
        seconds: u64,
    ) -> Result<(), Error> {
        let value = value.to_vec();
        self.write(move |tables, now| {
            tables.put_pending(tag, kind, &value, now.saturating_add(seconds.saturating_mul(1_000)))
        })
        .await
    }

    pub(crate) fn find_pending(&self, tag: Id, kind: PendingKind) -> Result<Option<Vec<u8>>, Error> {
        self.read(|snapshot, now| snapshot.live_pending(tag, kind, now))
    }
}
