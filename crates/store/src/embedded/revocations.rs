//! The feed of revocations. `revocations.rs` of the store has the contract. An ending publishes in its own transaction.

use auth_service_records::{
    error::Error,
    revocation::{PAGE, Revocation, StreamId},
};

use super::store::Embedded;

/// How long the id of a signing key stays, in milliseconds. Longer than any access token lives.
const KEY_MILLIS: u64 = 24 * 60 * 60 * 1_000;

impl Embedded {
    pub(crate) async fn publish(&self, ids: &[&str]) -> Result<(), Error> {
        let ids: Vec<_> = ids.iter().map(|id| (*id).to_owned()).collect();
        self.write(move |tables, now| ids.iter().try_for_each(|id| tables.publish(id, now + KEY_MILLIS, now))).await
    }

    pub(crate) fn revocations(&self, from: StreamId) -> Result<Vec<Revocation>, Error> {
        self.read(|snapshot, _| snapshot.revocations(from, PAGE))
    }
}
