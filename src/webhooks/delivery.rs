//! The tries of one event, and what follows them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use auth_service_records::{clock::Clock, outbox::Queued};
use auth_service_store::Store;
use auth_service_webhook::{Client, DeliveryError, Message};
use tokio::{sync::Semaphore, time::sleep};

use super::{lines::Lines, metrics::Metrics};
use crate::log::Seldom;

/// The number of requests to the receiver at the same time.
const AT_ONCE: u32 = 16;
/// The pause after the first failed try. Each further pause is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The pause before the store is asked again. The connection logs why the store does not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What all deliveries share.
pub(super) struct Delivery {
    store: Store,
    client: Client,
    metrics: Metrics,
    clock: Clock,
    /// The age at which an event becomes a dead letter, if a try fails.
    give_up: Duration,
    places: Semaphore,
    stopping: AtomicBool,
    failures: Seldom,
    dead: Seldom,
}

impl Delivery {
    pub(super) fn new(store: Store, client: Client, metrics: Metrics, clock: Clock, give_up: Duration) -> Self {
        let places = Semaphore::new(AT_ONCE as usize);
        let (failures, dead) = (Seldom::new(), Seldom::new());
        Self { store, client, metrics, clock, give_up, places, stopping: AtomicBool::new(false), failures, dead }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Delivers the events of a line one after the other, until the line is empty.
    pub(super) async fn deliver_line(&self, lines: &Lines, name: &str) {
        while let Some(event) = lines.first(name) {
            if !self.deliver(&event).await {
                return;
            }
            lines.remove_first(name);
        }
    }

    /// Begins no more tries, and returns when no request is on its way.
    pub(super) async fn finish(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        // Fails only if the semaphore is closed, and nobody closes it.
        let _ = self.places.acquire_many(AT_ONCE).await;
    }

    /// Tries until the receiver has the event, or the event is too old. Returns `false` if the server stops.
    async fn deliver(&self, event: &Queued) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            let Ok(place) = self.places.acquire().await else { return false };
            if self.stopping.load(Ordering::Relaxed) {
                return false;
            }
            match self.try_once(event).await {
                Ok(()) => {
                    self.metrics.delivered();
                    // Keeps the place: while the store is unavailable, each delivery would later be repeated.
                    while self.store.remove_event(event.place).await.is_err() {
                        sleep(STORE_PAUSE).await;
                    }
                    return true;
                }
                Err(error) if self.time_left(event).is_zero() => {
                    self.bury(event, &error).await;
                    return true;
                }
                Err(error) => self.report(&error),
            }
            drop(place);
            // The last try is at the end of the time.
            sleep(pause.min(self.time_left(event))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_once(&self, event: &Queued) -> Result<(), DeliveryError> {
        let (id, body) = (event.announcement.id.as_str(), event.announcement.body.as_str());
        let tried = self.client.deliver(Message { id, timestamp: self.clock.now_seconds(), body }).await;
        tried.inspect_err(|error| self.metrics.failed(error))
    }

    /// The time until the event becomes a dead letter.
    fn time_left(&self, event: &Queued) -> Duration {
        let age = self.clock.now_millis().saturating_sub(event.place.millis);
        self.give_up.saturating_sub(Duration::from_millis(age))
    }

    async fn bury(&self, event: &Queued, error: &DeliveryError) {
        while self.store.bury_event(event.place).await.is_err() {
            sleep(STORE_PAUSE).await;
        }
        self.metrics.gave_up();
        if let Some(times) = self.dead.due() {
            let seconds = self.give_up.as_secs();
            tracing::error!(times, %error, "a webhook is a dead letter, because all tries in {seconds} s have failed");
        }
    }

    fn report(&self, error: &DeliveryError) {
        if let Some(times) = self.failures.due() {
            tracing::warn!(times, %error, "a webhook could not be delivered; the server tries again");
        }
    }
}
