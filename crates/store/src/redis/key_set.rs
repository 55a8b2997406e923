//! The key set. `key_set/operations.rs` of the store has the contracts.

use std::sync::LazyLock;

use auth_service_records::error::Error;
use redis::Script;

use super::{keys::Tag, net::request::Request, script::script, store::Redis};

static REPLACE: LazyLock<Script> = script!("replace_key_set");

impl Redis {
    pub(crate) async fn key_set(&self) -> Result<Option<Vec<u8>>, Error> {
        self.run(Tag::KEY_SET, &Request::command("GET").reading().arg(self.keys().key_set())).await
    }

    pub(crate) async fn replace_key_set(&self, read: &[u8], next: &[u8], latest: u64) -> Result<bool, Error> {
        let call = Request::call(&REPLACE, &[self.keys().key_set()]).arg(read).arg(next).arg(latest);
        self.run_lasting(Tag::KEY_SET, &call).await
    }
}
