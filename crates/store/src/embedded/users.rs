//! Lists all accounts. `users.rs` of the store has the contract.

use std::sync::Arc;

use auth_service_records::error::Error;

use super::{store::Embedded, tables::Reads};
use crate::record::{StoredUser, decode_user};

/// The number of accounts of a page.
const PAGE: usize = 1_000;

/// The list of all accounts.
pub struct Users {
    store: Arc<Embedded>,
    /// The last key of the page before.
    after: String,
}

impl Users {
    pub(crate) fn start(store: Arc<Embedded>) -> Self {
        Self { store, after: String::new() }
    }

    pub(crate) fn next_page(&mut self) -> Result<Vec<StoredUser>, Error> {
        let rows = self.store.read(|snapshot, _| snapshot.records_after(&self.after, PAGE))?;
        if let Some((last, _)) = rows.last() {
            self.after.clone_from(last);
        }
        rows.into_iter().map(|(_, record)| decode_user(record)).collect()
    }
}
