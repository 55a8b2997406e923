//! The outbox of webhooks: events that wait for their delivery, and dead letters, which nobody delivers any more.

use auth_service_records::{
    error::Error,
    outbox::{Announcement, OutboxPage, Queued},
    revocation::StreamId,
};
use auth_service_token::Id;

use crate::store::Store;

impl Store {
    /// Adds an event to the outbox. If the outbox is full, the oldest event becomes a dead letter. Returns whether that
    /// has happened.
    ///
    /// # Errors
    /// See [`Store`]. A repetition may add the event a second time, with the same id, unless the error is
    /// [`Error::NotReplicated`].
    pub async fn announce(&self, announcement: &Announcement) -> Result<bool, Error> {
        match self {
            Self::Redis(redis) => redis.announce(announcement).await,
            Self::Embedded(embedded) => embedded.announce(announcement).await,
        }
    }

    /// Reads up to `limit` events from the place `from` on, oldest first. Also asks for the right to deliver. One server
    /// has this right at a time, and keeps the right for
    /// [`LEASE_MILLIS`](auth_service_records::outbox::LEASE_MILLIS) after each call. `server` is a random id of the
    /// caller.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn read_outbox(&self, server: Id, from: StreamId, limit: usize) -> Result<OutboxPage, Error> {
        match self {
            Self::Redis(redis) => redis.read_outbox(server, from, limit).await,
            // No other process can open the store.
            Self::Embedded(embedded) => embedded.read_outbox(from, limit),
        }
    }

    /// Gives up the right to deliver, so that another server can take over at once.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn release_outbox(&self, server: Id) -> Result<(), Error> {
        match self {
            Self::Redis(redis) => redis.release_outbox(server).await,
            Self::Embedded(_) => Ok(()),
        }
    }

    /// Removes an event that was delivered.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn remove_event(&self, place: StreamId) -> Result<(), Error> {
        match self {
            Self::Redis(redis) => redis.remove_event(place).await,
            Self::Embedded(embedded) => embedded.remove_event(place).await,
        }
    }

    /// Makes an event of the outbox a dead letter. Returns `false` if the event is not in the outbox.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn bury_event(&self, place: StreamId) -> Result<bool, Error> {
        match self {
            Self::Redis(redis) => redis.bury_event(place).await,
            Self::Embedded(embedded) => embedded.bury_event(place).await,
        }
    }

    /// All dead letters, oldest first.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn dead_letters(&self) -> Result<Vec<Queued>, Error> {
        match self {
            Self::Redis(redis) => redis.dead_letters().await,
            Self::Embedded(embedded) => embedded.dead_letters(),
        }
    }

    /// Puts all dead letters back into the outbox, after the events that are there. Returns their number.
    ///
    /// # Errors
    /// See [`Store`]. A call that fails may have put back some of them.
    pub async fn retry_dead_letters(&self) -> Result<u64, Error> {
        match self {
            Self::Redis(redis) => redis.retry_dead_letters().await,
            Self::Embedded(embedded) => embedded.retry_dead_letters().await,
        }
    }
}
