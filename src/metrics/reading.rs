//! A gauge whose value is read when the registry is encoded.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};

/// A gauge whose value comes from a function. The gauge is absent while the function returns `None`.
pub(super) struct Reading<F> {
    name: &'static str,
    help: &'static str,
    unit: Unit,
    read: F,
}

impl<F: Fn() -> Option<f64> + Send + Sync + 'static> Reading<F> {
    /// A gauge whose name ends with the unit.
    pub(super) fn gauge(name: &'static str, help: &'static str, unit: Unit, read: F) -> Box<Self> {
        Box::new(Self { name, help, unit, read })
    }
}

impl<F: Fn() -> Option<f64> + Send + Sync + 'static> Collector for Reading<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(value) = (self.read)() else { return Ok(()) };
        let encoder = encoder.encode_descriptor(self.name, self.help, Some(&self.unit), MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder)
    }
}

impl<F> fmt::Debug for Reading<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
