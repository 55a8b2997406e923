//! One type for both stores.

use std::sync::Arc;

use auth_service_records::error::Error;

use crate::{embedded, redis};

/// A store and its operations. Each operation is atomic with respect to all other operations on the same user, on every
/// replica. An operation that returns `Ok` has happened.
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
    /// Checks whether writes would succeed right now.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the reason.
    pub async fn ready(&self) -> Result<(), Error> {
        match self {
            Self::Redis(redis) => redis.ready().await,
            Self::Embedded(embedded) => embedded.ready(),
        }
    }
}
