//! The metrics of all layers, in one registry. Each layer counts in its own `metrics.rs`, whether or not
//! `METRICS_LISTEN` is set.

mod process;
mod reading;

use std::time::Instant;

use auth_service_store::backend::Backend;
use prometheus_client::{
    metrics::info::Info,
    registry::{Registry, Unit},
};

use self::reading::Reading;
use crate::{audit, auth::Parts, http, webhooks};

/// The handles of all layers. Clones share their counts.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Requests, refused tokens and connections.
    pub http: http::Metrics,
    /// Security events and sessions.
    pub audit: audit::Metrics,
    /// The delivery of webhooks.
    pub webhooks: webhooks::Metrics,
}

impl Metrics {
    /// A registry of all metrics. Each scrape reads the values of `backend` and `parts`.
    #[must_use]
    pub fn registry(&self, backend: &Backend, parts: &Parts) -> Registry {
        let mut all = Registry::default();
        process::register(&mut all);
        let registry = all.sub_registry_with_prefix("auth_service");
        registry.register("build", "The version of the server", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        self.http.register(registry);
        self.audit.register(registry);
        self.webhooks.register(registry);
        backend.register_metrics(registry);
        parts.passwords.register_metrics(registry);
        parts.audit.trail.register_metrics(registry);
        if let Some(mails) = &parts.mails {
            mails.mail.register_metrics(registry);
        }
        let feed = parts.revocations.clone();
        registry.register_collector(Reading::gauge(
            "revocation_feed_age",
            "Time since the last read of the feed of revocations; absent before the first read, and without \
             RESOURCE_SERVERS.",
            Unit::Seconds,
            move || seconds_since(feed.read_at()),
        ));
        let tokens = parts.tokens.clone();
        registry.register_collector(Reading::gauge(
            "signing_keys_age",
            "Time since the last read of the keys of ES256; absent before the first read.",
            Unit::Seconds,
            move || seconds_since(tokens.access.keys().read_at()),
        ));
        let (outbox, clock) = (self.webhooks.clone(), parts.clock.clone());
        registry.register_collector(Reading::gauge(
            "webhook_oldest_event_age",
            "Age of the oldest event that waits for its delivery; 0 if none waits.",
            Unit::Seconds,
            move || {
                Some(outbox.oldest().map_or(0, |oldest| clock.now_millis().saturating_sub(oldest)) as f64 / 1_000.0)
            },
        ));
        all
    }
}

fn seconds_since(instant: Option<Instant>) -> Option<f64> {
    instant.map(|instant| instant.elapsed().as_secs_f64())
}
