//! Lists all accounts of a store, page by page.

use auth_service_records::error::Error;

use crate::{embedded, record::StoredUser, redis};

/// A list of all accounts, in no particular order. It holds one page in memory, however many accounts there are.
///
/// An account that exists from the first page to the last, and keeps its email, is in the list. On Redis, it may be in
/// the list more than once. An account that is created or deleted meanwhile may be in the list or not, and an account
/// that moves to another email may be in the list with either email, with both or not at all.
pub enum Users {
    /// Reads with SCAN.
    Redis(Box<redis::Users>),
    /// Reads the table of accounts.
    Embedded(embedded::Users),
}

impl Users {
    /// The next page. Empty after the last account.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; also if servers of Redis change their roles or their slots during the list, because
    /// accounts may then be missing. The list cannot continue after an error.
    pub async fn next_page(&mut self) -> Result<Vec<StoredUser>, Error> {
        match self {
            Self::Redis(users) => users.next_page().await,
            Self::Embedded(users) => users.next_page(),
        }
    }
}
