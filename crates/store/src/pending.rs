//! The operations on entries that wait for a confirmation, such as a link in a mail. Each entry expires by itself.

use auth_service_records::error::Error;
use auth_service_token::Id;

use crate::{change::PendingKind, store::Store};

impl Store {
    /// Writes an entry that expires after this many seconds. Replaces an earlier entry of the kind. There may be no
    /// account with this tag, so that an unknown email costs the same as a known one.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn put_pending(&self, tag: Id, kind: PendingKind, value: &[u8], seconds: u64) -> Result<(), Error> {
        match self {
            Self::Redis(redis) => redis.put_pending(tag, kind, value, seconds).await,
            Self::Embedded(embedded) => embedded.put_pending(tag, kind, value, seconds).await,
        }
    }

    /// The value of an entry. `None` if there is none, or if it has expired.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn find_pending(&self, tag: Id, kind: PendingKind) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Redis(redis) => redis.find_pending(tag, kind).await,
            Self::Embedded(embedded) => embedded.find_pending(tag, kind),
        }
    }
}
