//! One warning at the beginning of an outage, and one line at its end.

use std::{fmt::Display, time::Instant};

/// The state of something that the verifier needs.
pub(crate) struct Outage {
    of: &'static str,
    since: Option<Instant>,
}

impl Outage {
    pub(crate) fn new(of: &'static str) -> Self {
        Self { of, since: None }
    }

    /// Warns, unless the outage is known.
    pub(crate) fn begins(&mut self, reason: &dyn Display) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            tracing::warn!(%reason, "{} is out of reach; tokens are introspected, or refused with 503", self.of);
        }
    }

    pub(crate) fn ends(&mut self) {
        if let Some(since) = self.since.take() {
            let seconds = since.elapsed().as_secs();
            tracing::info!(seconds, "{} is back", self.of);
        }
    }
}
