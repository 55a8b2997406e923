//! Replicas under a Prometheus, and the alerts that must fire.

use std::{collections::BTreeSet, time::Instant};

use crate::{
    prometheus::{Prometheus, speed},
    support::{TestApp, free_port, wait_longer},
};

/// A Prometheus that watches replicas, and the alerts that it must fire.
pub(crate) struct Site {
    pub(crate) prometheus: Prometheus,
    start: Instant,
    expected: BTreeSet<String>,
}

/// The ports of a replica, which it keeps when it restarts.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) metrics: u16,
}

impl Ports {
    pub(crate) fn new() -> Self {
        Self { http: free_port(), metrics: free_port() }
    }

    /// Starts a replica with these ports and settings.
    pub(crate) fn start(&self, settings: &[(&str, &str)], start: impl FnOnce(&[(&str, &str)]) -> TestApp) -> TestApp {
        let (port, listen) = (self.http.to_string(), format!("127.0.0.1:{}", self.metrics));
        start(&[&[("PORT", &*port), ("METRICS_LISTEN", &*listen)], settings].concat())
    }
}

/// Starts `count` replicas, and a Prometheus that watches them.
pub(crate) fn site_of(
    count: usize,
    settings: &[(&str, &str)],
    start: impl Fn(&[(&str, &str)]) -> TestApp,
) -> (Site, Vec<TestApp>) {
    let ports: Vec<_> = (0..count).map(|_| Ports::new()).collect();
    let apps = ports.iter().map(|ports| ports.start(settings, &start)).collect();
    (Site::watching(&ports, count), apps)
}

/// How many seconds a test waits. The longest windows and pauses are 15 minutes.
fn patience() -> u64 {
    60 + 1_800 / u64::from(speed())
}

impl Site {
    /// A Prometheus that watches replicas on these ports, of which `up` answer.
    pub(crate) fn watching(replicas: &[Ports], up: usize) -> Self {
        let ports: Vec<_> = replicas.iter().map(|ports| ports.metrics).collect();
        let prometheus = Prometheus::start(&ports);
        prometheus.wait_for_replicas(up);
        // Prometheus begins to scrape five seconds after its start. At the speed of the tests, these are minutes
        // without a replica.
        wait_longer(60, "no alert fires", || !prometheus.firing().contains("AuthServiceDown"));
        Self { prometheus, start: Instant::now(), expected: BTreeSet::new() }
    }

    /// Waits until all of `alerts` have fired after the fault that began at `since`, and no other one. Prints how long each
    /// took.
    #[track_caller]
    pub(crate) fn expect(&mut self, fault: &str, since: Instant, alerts: &[&str]) {
        let mut missing: BTreeSet<&str> = alerts.iter().copied().collect();
        self.may_fire(alerts);
        wait_longer(patience(), &format!("{fault}: {alerts:?} fire"), || {
            let firing = self.prometheus.firing();
            missing.retain(|alert| {
                let fires = firing.contains(*alert);
                if fires {
                    report(fault, &format!("{alert} fires"), since);
                }
                !fires
            });
            missing.is_empty()
        });
        self.assert_no_other();
    }

    /// Waits until no alert fires after the repair of the fault at `since`.
    #[track_caller]
    pub(crate) fn expect_peace(&mut self, fault: &str, since: Instant) {
        wait_longer(patience(), &format!("{fault}: no alert fires"), || self.prometheus.firing().is_empty());
        report(fault, "no alert fires", since);
        self.assert_no_other();
    }

    /// Alerts that may fire, but need not.
    pub(crate) fn may_fire(&mut self, alerts: &[&str]) {
        self.expected.extend(alerts.iter().map(|&alert| alert.to_owned()));
    }

    /// Asserts that only expected alerts have fired since the start.
    #[track_caller]
    pub(crate) fn assert_no_other(&self) {
        let others: Vec<_> = self.prometheus.fired(self.start).difference(&self.expected).cloned().collect();
        assert!(others.is_empty(), "these alerts have fired, too: {others:?}");
    }
}

fn report(fault: &str, what: &str, since: Instant) {
    eprintln!("{fault}: {what} after {:.1} s at {} times the speed", since.elapsed().as_secs_f64(), speed());
}
