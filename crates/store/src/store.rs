//! The two stores as one.

use std::sync::Arc;

use auth_service_records::error::Error;

use crate::{embedded, redis};

/// The operations. Each is atomic against all others of the same user, on every replica, and has happened when it returns
/// `Ok`.
///
/// # Errors
/// A read that fails did nothing. A write that fails with [`Error::Unavailable`] may have happened, as the answer may be
/// what was lost; if so, it has happened whole. A write that fails with [`Error::NotReplicated`] has happened, but a
/// failover may undo it. Every other error means that nothing has happened.
pub enum Store {
    /// Shared by all replicas.
    Redis(redis::Redis),
    /// Of this process alone.
    Embedded(Arc<embedded::Embedded>),
}

impl Store {
    /// Whether writes would succeed right now.
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
