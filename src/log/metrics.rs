//! The metrics of the log.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// The metrics of the log. Clones share the values.
#[derive(Debug, Clone, Default)]
pub(super) struct Metrics {
    /// Lines of the audit trail that are lost, because standard output accepted no more bytes.
    pub(super) lost: Counter,
    /// Other lines that were dropped, because the reader of the log was too slow.
    pub(super) dropped: Counter,
    /// 1 while the file of the audit trail cannot be written.
    pub(super) failing: Gauge,
}

impl Metrics {
    /// Adds the metrics to a registry.
    pub(super) fn register(&self, registry: &mut Registry) {
        let Self { lost, dropped, failing } = self.clone();
        registry.register("audit_lines_lost", "Lines of the audit trail that could not be written", lost);
        let help = "1 while AUDIT_LOG cannot be written, and its lines go to the log";
        registry.register("audit_log_failing", help, failing);
        let help = "Other log lines that were dropped, because standard output took them too slowly";
        registry.register("log_lines_dropped", help, dropped);
    }
}
