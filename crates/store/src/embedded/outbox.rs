//! The outbox of webhooks. `outbox.rs` of the store has the contracts.

use auth_service_records::{
    error::Error,
    outbox::{Announcement, OutboxPage, Queued},
    revocation::StreamId,
};

use super::{store::Embedded, tables::feed_key};

impl Embedded {
    pub(crate) async fn announce(&self, announcement: &Announcement) -> Result<bool, Error> {
        let announcement = announcement.clone();
        self.write(move |tables, now| tables.add_event(&announcement, now)).await
    }

    pub(crate) fn read_outbox(&self, from: StreamId, limit: usize) -> Result<OutboxPage, Error> {
        self.read(|snapshot, _| snapshot.outbox(from, limit))
    }

    pub(crate) async fn remove_event(&self, place: StreamId) -> Result<(), Error> {
        self.write(move |tables, _| tables.remove_event(&feed_key(place))).await
    }

    pub(crate) async fn bury_event(&self, place: StreamId) -> Result<bool, Error> {
        self.write(move |tables, now| tables.bury_event(&feed_key(place), now)).await
    }

    pub(crate) fn dead_letters(&self) -> Result<Vec<Queued>, Error> {
        self.read(|snapshot, _| snapshot.dead_letters())
    }

    pub(crate) async fn retry_dead_letters(&self) -> Result<u64, Error> {
        self.write(|tables, now| tables.retry_dead_letters(now)).await
    }
}
