//! The feed of revocations: what verifiers elsewhere must refuse, although the signature is valid.

use auth_service_records::{
    error::Error,
    revocation::{Revocation, StreamId},
};

use crate::store::Store;

impl Store {
    /// Adds ids to the feed. Every operation that ends tokens does so by itself. This one is for ids of signing keys.
    ///
    /// # Errors
    /// See [`Store`]. A failed call may have added the ids, which does no harm.
    pub async fn publish(&self, ids: &[&str]) -> Result<(), Error> {
        match self {
            Self::Redis(redis) => redis.publish(ids).await,
            Self::Embedded(embedded) => embedded.publish(ids).await,
        }
    }

    /// Up to [`PAGE`](auth_service_records::revocation::PAGE) entries of the feed, oldest first, from `from` on. An entry
    /// stays at least as long as an access token and its leeway.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn revocations(&self, from: StreamId) -> Result<Vec<Revocation>, Error> {
        match self {
            Self::Redis(redis) => redis.revocations(from).await,
            Self::Embedded(embedded) => embedded.revocations(from),
        }
    }
}
