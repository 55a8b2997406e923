//! The metrics of the hashing threads.

use std::{fmt, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram},
    registry::Registry,
};

use crate::queue::{Refusal, Threads};

/// The bounds reach from the fast hash of a test to the deadline of a request.
const SECONDS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// The metrics of the pool. Clones share the values.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    waits: Histogram,
    durations: Histogram,
    refused: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let refused = Family::default();
        for refusal in Refusal::ALL {
            // Without the 0, `increase` misses the first refusal, and no alert fires.
            drop(refused.get_or_create(&[("reason", refusal.name())]));
        }
        Self { waits: Histogram::new(SECONDS), durations: Histogram::new(SECONDS), refused }
    }
}

impl Metrics {
    /// Counts a job that a thread has taken after this time in the queue.
    pub(crate) fn waited(&self, time: Duration) {
        self.waits.observe(time.as_secs_f64());
    }

    /// Counts a job that a thread has run in this time.
    pub(crate) fn ran(&self, time: Duration) {
        self.durations.observe(time.as_secs_f64());
    }

    /// Counts a job that no thread runs.
    pub(crate) fn refused(&self, refusal: Refusal) {
        self.refused.get_or_create(&[("reason", refusal.name())]).inc();
    }

    /// Adds the metrics to a registry. `load` is called whenever the metrics are read.
    pub(crate) fn register(&self, registry: &mut Registry, load: impl Fn() -> Option<Load> + Send + Sync + 'static) {
        let Self { waits, durations, refused } = self.clone();
        registry.register("hashing_wait_seconds", "How long a password waited for a hashing thread", waits);
        registry.register("hashing_duration_seconds", "How long a thread hashed a password", durations);
        registry.register("hashing_refused", "Passwords that were not hashed, by reason", refused);
        registry.register_collector(Box::new(Now(load)));
    }
}

/// The load of the threads at one moment.
pub(crate) struct Load {
    pub(crate) waiting: usize,
    pub(crate) threads: Threads,
}

/// Reads the load when the metrics are read.
struct Now<F>(F);

impl<F> fmt::Debug for Now<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Now")
    }
}

impl<F: Fn() -> Option<Load> + Send + Sync + 'static> Collector for Now<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(Load { waiting, threads }) = (self.0)() else { return Ok(()) };
        for (name, help, value) in [
            ("hashing_queue_length", "Passwords that wait for a hashing thread.", waiting),
            ("hashing_threads", "Hashing threads that run.", threads.running),
            ("hashing_threads_busy", "Hashing threads that hash a password now.", threads.running - threads.idle),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        Ok(())
    }
}
