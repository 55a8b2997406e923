//! The operations on pending entries. `pending.rs` of the store has their contracts.

use auth_service_records::error::Error;
use auth_service_token::Id;

use super::{net::request::Request, store::Redis};
use crate::change::PendingKind;

impl Redis {
    pub(crate) async fn put_pending(
        &self,
        tag: Id,
        kind: PendingKind,
        value: &[u8],
        seconds: u64,
    ) -> Result<(), Error> {
        let set = Request::command("SET").arg(self.keys().pending(tag, kind)).arg(value).arg("EX").arg(seconds);
        self.run_lasting(tag, &set).await
    }

    pub(crate) async fn find_pending(&self, tag: Id, kind: PendingKind) -> Result<Option<Vec<u8>>, Error> {
        self.run(tag, &Request::command("GET").reading().arg(self.keys().pending(tag, kind))).await
    }
}
