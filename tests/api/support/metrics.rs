//! What Prometheus reads of a server.

use super::{app::TestApp, raw};

/// Opens the listener of the metrics, on a free port.
pub(crate) const METRICS: (&str, &str) = ("METRICS_LISTEN", "127.0.0.1:0");

/// The value of a series on the listener at `port`, named as Prometheus names it, without `auth_service_`. `None` if
/// there is no such series.
pub(crate) fn metric_at(port: u16, series: &str) -> Option<f64> {
    let answer = raw::exchange(port, &raw::request("GET", "/metrics", &[], None)).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let value =
        |line: &str| line.trim_start_matches("auth_service_").strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
    answer.body.lines().find_map(value)
}

impl TestApp {
    /// See [`metric_at`]. The server must have the setting [`METRICS`].
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let output = self.output();
        let (_, rest) = output.split_once("metrics on http://127.0.0.1:").unwrap();
        metric_at(rest.split('/').next().unwrap().parse().unwrap(), series)
    }
}
