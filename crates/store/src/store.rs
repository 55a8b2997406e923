//! One type for both stores.

use std::sync::Arc;

use auth_service_records::error::{Error, Outage};

use crate::{embedded, redis};

/// A store and its operations. Each operation is atomic with respect to all other operations on the same user, on every
/// replica. An operation that returns `Ok` has happened.
///
/// An operation that ends tokens first adds their `eid` or their session to the feed of revocations. If that fails, the
/// operation has ended nothing, and the caller can repeat it.
///
/// # Errors
/// A read that fails has changed nothing. A write that fails with [`Error::Unavailable`] may have happened, because
/// only the answer may be lost. Such a write never happens in part. A write that fails with [`Error::NotReplicated`]
/// has happened, but a failover may undo it. Every other error means that nothing has happened.
pub enum Store {
    /// Shared by all replicas.
    Redis(redis::Redis),
    /// Used by this process alone.
    Embedded(Arc<embedded::Embedded>),
}

impl Store {
    /// The time of the store, in seconds since the Unix epoch.
    #[must_use]
    pub fn now_seconds(&self) -> u64 {
        match self {
            Self::Redis(redis) => redis.now_seconds(),
            Self::Embedded(embedded) => embedded.now_seconds(),
        }
    }

    /// Checks whether reads and writes would succeed right now. `Some` is the reason why only reads would succeed.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the reason, if reads fail.
    pub async fn ready(&self) -> Result<Option<Outage>, Error> {
        match self {
            Self::Redis(redis) => redis.ready().await,
            Self::Embedded(embedded) => embedded.ready(),
        }
    }
}
