//! The metrics of the store, which all runtimes of the process share.

use std::{fmt, time::Instant};

use auth_service_records::{
    clock::Clock,
    error::{Error, Outage},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram},
    registry::Registry,
};

type Label = [(&'static str, &'static str); 1];

/// The bounds reach from a read of the embedded store to the deadline of a request.
const SECONDS: [f64; 13] =
    [0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];

/// Whether a request to the store may change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It changes nothing.
    Read,
    /// It may change something.
    Write,
}

/// The metrics of the store. Clones share the values.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    requests: Family<Label, Histogram, fn() -> Histogram>,
    /// Two members of `requests`. A look-up in `requests` costs more than the observation of a duration.
    reads: Histogram,
    writes: Histogram,
    errors: Family<Label, Counter>,
    pub(crate) reconnects: Counter,
    pub(crate) failovers: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let errors = Family::default();
        for outage in Outage::ALL {
            // Without the 0, `increase` misses the first error, and no alert fires.
            drop(errors.get_or_create(&[("code", outage.code())]));
        }
        Self {
            reads: requests.get_or_create_owned(&[("kind", "read")]),
            writes: requests.get_or_create_owned(&[("kind", "write")]),
            requests,
            errors,
            reconnects: Counter::default(),
            failovers: Counter::default(),
        }
    }
}

impl Metrics {
    /// Counts a request that began at `start`: how long the store took to carry it out, or why it failed.
    pub(crate) fn count<T>(&self, kind: Kind, start: Instant, outcome: &Result<T, Error>) {
        match outcome {
            Ok(_) => {
                let histogram = match kind {
                    Kind::Read => &self.reads,
                    Kind::Write => &self.writes,
                };
                histogram.observe(start.elapsed().as_secs_f64());
            }
            Err(error) => self.count_error(error),
        }
    }

    /// Counts an error if it means an outage of the store.
    pub(crate) fn count_error(&self, error: &Error) {
        let outage = match error {
            Error::Unavailable(outage) => *outage,
            Error::NotReplicated => Outage::NotReplicated,
            _ => return,
        };
        self.errors.get_or_create(&[("code", outage.code())]).inc();
    }

    /// Adds the metrics to a registry. `is_usable` is called whenever the metrics are read.
    pub(crate) fn register(
        &self,
        registry: &mut Registry,
        clock: Clock,
        is_usable: impl Fn() -> bool + Send + Sync + 'static,
    ) {
        let help = "How long the store took to carry out a request; a failed request counts only in store_errors_total";
        registry.register("store_request_duration_seconds", help, self.requests.clone());
        let help = "Requests to the store that failed, by the code of the outage";
        registry.register("store_errors", help, self.errors.clone());
        let reconnects = "Connections to Redis that replaced a lost connection; each worker has its own";
        registry.register("store_reconnects", reconnects, self.reconnects.clone());
        let failovers = "Failovers by the Sentinels or the cluster";
        registry.register("store_failovers", failovers, self.failovers.clone());
        registry.register_collector(Box::new(Now { clock, is_usable }));
    }
}

/// The values that are read at each scrape.
struct Now<F> {
    clock: Clock,
    is_usable: F,
}

impl<F> fmt::Debug for Now<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Now").field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl<F: Fn() -> bool + Send + Sync + 'static> Collector for Now<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help =
            "1 if the store can be used; 0 if one of its servers is lost or refuses commands, or its disk has failed.";
        let up = ConstGauge::new(i64::from((self.is_usable)()));
        up.encode(encoder.encode_descriptor("store_up", help, None, MetricType::Gauge)?)?;
        let Some(skew) = self.clock.skew() else { return Ok(()) };
        let help = "This machine's time minus the time of the store.";
        let offset = ConstGauge::new(skew.machine_ahead_seconds());
        offset.encode(encoder.encode_descriptor("store_clock_offset_seconds", help, None, MetricType::Gauge)?)
    }
}
