//! The metrics of webhooks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use auth_service_records::outbox::OutboxPage;
use auth_service_webhook::DeliveryError;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

type Label = [(&'static str, &'static str); 1];

/// Why an event is a dead letter: every try has failed, or the outbox was full.
const BURIED: [&str; 2] = ["gave_up", "outbox_full"];

/// The metrics of webhooks. Clones share the values.
#[derive(Debug, Clone)]
pub struct Metrics {
    delivered: Counter,
    failures: Family<Label, Counter>,
    buried: Family<Label, Counter>,
    lost: Counter,
    length: Gauge,
    dead_letters: Gauge,
    /// In milliseconds since the Unix epoch. 0 if the outbox is empty.
    oldest: Arc<AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let (failures, buried) = (Family::<Label, Counter>::default(), Family::<Label, Counter>::default());
        // Without the 0, `increase` misses the first event.
        for reason in DeliveryError::REASONS {
            drop(failures.get_or_create(&[("reason", reason)]));
        }
        for reason in BURIED {
            drop(buried.get_or_create(&[("reason", reason)]));
        }
        Self {
            delivered: Counter::default(),
            failures,
            buried,
            lost: Counter::default(),
            length: Gauge::default(),
            dead_letters: Gauge::default(),
            oldest: Arc::default(),
        }
    }
}

impl Metrics {
    /// Counts an event that the receiver has.
    pub(super) fn delivered(&self) {
        self.delivered.inc();
    }

    /// Counts a try that has failed.
    pub(super) fn failed(&self, error: &DeliveryError) {
        self.failures.get_or_create(&[("reason", error.reason())]).inc();
    }

    /// Counts an event that is a dead letter, because every try has failed.
    pub(super) fn gave_up(&self) {
        self.buried.get_or_create(&[("reason", BURIED[0])]).inc();
    }

    /// Counts an event that is a dead letter, because the outbox was full.
    pub(crate) fn overflowed(&self) {
        self.buried.get_or_create(&[("reason", BURIED[1])]).inc();
    }

    /// Counts an event that the store did not take.
    pub(crate) fn lost(&self) {
        self.lost.inc();
    }

    /// Remembers the state of the outbox.
    pub(super) fn saw(&self, page: &OutboxPage) {
        self.length.set(page.length.try_into().unwrap_or(i64::MAX));
        self.dead_letters.set(page.dead_letters.try_into().unwrap_or(i64::MAX));
        self.oldest.store(page.oldest.map_or(0, |oldest| oldest.millis), Ordering::Relaxed);
    }

    /// When the oldest event in the outbox happened, in milliseconds since the Unix epoch. `None` if the outbox is empty.
    pub(crate) fn oldest(&self) -> Option<u64> {
        Some(self.oldest.load(Ordering::Relaxed)).filter(|oldest| *oldest > 0)
    }

    /// Adds the metrics to a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let Self { delivered, failures, buried, lost, length, dead_letters, oldest: _ } = self.clone();
        registry.register("webhook_outbox_length", "Events that wait for their delivery", length);
        let help = "Events that could not be delivered, and that nobody delivers any more";
        registry.register("webhook_dead_letters", help, dead_letters);
        registry.register("webhooks_delivered", "Events that the receiver has accepted", delivered);
        registry.register("webhook_failures", "Failed tries to deliver an event, by the reason", failures);
        registry.register("webhooks_buried", "Events that became dead letters, by the reason", buried);
        registry.register("webhooks_lost", "Events that the store did not take into the outbox", lost);
    }
}
