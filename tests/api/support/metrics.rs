//! Reads the metrics of a server, as Prometheus does.

use std::collections::BTreeMap;

use super::{
    app::TestApp,
    raw::{self, Answer},
};

/// Opens the listener of the metrics, on a free port.
pub(crate) const METRICS: (&str, &str) = ("METRICS_LISTEN", "127.0.0.1:0");

/// The answer of the listener at `port`, in the older of the two formats.
pub(crate) fn scrape_at(port: u16) -> Answer {
    let answer = raw::exchange(port, &raw::request("GET", "/metrics", &[], None)).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// All series of a scrape, named as Prometheus names them, with their values.
pub(crate) fn series(scrape: &str) -> BTreeMap<String, f64> {
    let samples = scrape.lines().filter(|line| !line.starts_with('#'));
    let parsed = samples.map(|line| line.rsplit_once(' ').unwrap());
    parsed.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect()
}

/// The value of a series on the listener at `port`, named as Prometheus names it, without `auth_service_`. `None` if
/// there is no such series.
pub(crate) fn metric_at(port: u16, name: &str) -> Option<f64> {
    let all = series(&scrape_at(port).body);
    all.get(&format!("auth_service_{name}")).or_else(|| all.get(name)).copied()
}

impl TestApp {
    /// The port of the metrics. The server must have the setting [`METRICS`].
    pub(crate) fn metrics_port(&self) -> u16 {
        let output = self.output();
        let (_, rest) = output.split_once("metrics on http://127.0.0.1:").unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    }

    /// See [`metric_at`].
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        metric_at(self.metrics_port(), name)
    }

    /// See [`series`].
    pub(crate) fn series(&self) -> BTreeMap<String, f64> {
        series(&scrape_at(self.metrics_port()).body)
    }
}
