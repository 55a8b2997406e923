//! The feed of revocations for verifiers elsewhere: one task reads it from the store, and all workers answer from memory.

mod cursor;
mod window;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use auth_service_records::{
    error::Error,
    revocation::{MARGIN_SECONDS, PAGE, StreamId},
};
use auth_service_store::Store;
use auth_service_token::LEEWAY_SECONDS;
use tokio::time::sleep;

pub use self::window::Revocations;
use self::{cursor::OVERLAP_MILLIS, window::Window};
use crate::log::Seldom;

/// The time between two reads. With the interval of the verifiers, it bounds how late they hear of a revocation.
const INTERVAL: Duration = Duration::from_millis(200);

/// The feed in memory, which all workers share.
#[derive(Clone)]
pub struct RevocationFeed(Arc<RwLock<Known>>);

struct Known {
    window: Window,
    /// When the last successful read began. The window has everything that was published before.
    read_at: Option<Instant>,
}

impl RevocationFeed {
    /// An empty feed of access tokens that live this long.
    #[must_use]
    pub fn new(access_seconds: u64) -> Self {
        let window = Window::new(Duration::from_secs(access_seconds + LEEWAY_SECONDS + MARGIN_SECONDS));
        Self(Arc::new(RwLock::new(Known { window, read_at: None })))
    }

    /// Reads the feed of the store, again and again.
    pub async fn follow(self, store: Store) {
        let (mut end, failures) = (None, Seldom::new());
        loop {
            let start = Instant::now();
            match self.read(&store, end).await {
                Ok(read_to) => {
                    end = read_to;
                    self.complete_as_of(start);
                }
                Err(error) => {
                    if let Some(times) = failures.due() {
                        tracing::warn!(times, ?error, "the feed of revocations could not be read");
                    }
                }
            }
            sleep(INTERVAL).await;
        }
    }

    /// Reads the entries since the last read, and the overlap before. `end` is the place of the last entry of the last
    /// read. Returns the place of the last entry now.
    async fn read(&self, store: &Store, end: Option<StreamId>) -> Result<Option<StreamId>, Error> {
        let Some(end) = end else { return self.read_from(store, StreamId::default(), None).await };
        let overlap = StreamId { millis: end.millis.saturating_sub(OVERLAP_MILLIS), number: 0 };
        match self.read_from(store, overlap, Some(end)).await? {
            // The entry is gone: the store has lost its data, or another server has become the primary. Later entries
            // may have any place.
            None => self.read_from(store, StreamId::default(), None).await,
            read_to => Ok(read_to),
        }
    }

    /// Reads all entries from `from` on. Returns the place of the last one. Returns `None` if there is none, or if
    /// `expected` is not among them.
    async fn read_from(
        &self,
        store: &Store,
        from: StreamId,
        expected: Option<StreamId>,
    ) -> Result<Option<StreamId>, Error> {
        let (mut next, mut last, mut found) = (from, None, expected.is_none());
        loop {
            let page = store.revocations(next).await?;
            let is_last = page.len() < PAGE;
            found |= page.iter().any(|entry| Some(entry.id) == expected);
            if let Some(entry) = page.last() {
                (last, next) = (Some(entry.id), entry.id.next());
            }
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if !known.window.has_room() {
                return Err(Error::Overloaded);
            }
            known.window.add(page, Instant::now());
            drop(known);
            if is_last {
                return Ok(last.filter(|_| found));
            }
        }
    }

    fn complete_as_of(&self, start: Instant) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.window.forget(Instant::now());
        known.read_at = Some(start);
    }

    /// When the last successful read began. `None` before the first one.
    #[must_use]
    pub fn read_at(&self) -> Option<Instant> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).read_at
    }

    /// What was revoked after this cursor. `None` before the first read.
    pub(super) fn after(&self, cursor: Option<&str>) -> Option<Revocations> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let age = now.saturating_duration_since(known.read_at?);
        Some(known.window.after(cursor, age, now))
    }
}
