//! The metrics of requests, refused tokens and connections. Each label has few values, and none is text from a client.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use auth_service_records::refusal::Refusal;
use axum::{extract::MatchedPath, http::StatusCode};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::problem_response::Failure;

/// The upper bounds of the buckets of durations, in seconds. A token check takes less than a millisecond, and a sign-in
/// at least one hash. The default deadline is two seconds.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
/// The label for a path without a route.
const UNMATCHED: &str = "unmatched";
/// The method of a request that the server refuses before it reads the method, or whose route does not have the method.
pub(super) const OTHER_METHOD: &str = "OTHER";
/// The method of a route that accepts every method.
pub(super) const ANY_METHOD: &str = "ANY";
const METHOD_NOT_ALLOWED: u16 = StatusCode::METHOD_NOT_ALLOWED.as_u16();
/// The code of an answer that is no error.
const NO_CODE: &str = "none";

/// Counts requests, refused tokens and connections. Clones share their counts.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: Family<Outcome, Counter>,
    durations: Family<OfRoute, Histogram>,
    refused: Family<Reason, Counter>,
    pub(super) connections: Gauge,
    /// Connections beyond the limit of their address.
    pub(super) connections_refused: Counter,
    /// Idle connections that the server closed to make room for another one.
    pub(super) connections_displaced: Counter,
}

/// How a request has ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    method: &'static str,
    route: RouteName,
    status: u16,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRoute {
    route: RouteName,
}

/// The pattern of a route, such as `/sessions/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RouteName(Arc<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// How a request is counted when it has ended.
pub(super) struct Counted {
    pub(super) method: &'static str,
    pub(super) route: Arc<RouteMetrics>,
}

/// The metrics of one route. They get the path of the route from the first request, because the layer around a route
/// does not know the path.
pub(super) struct RouteMetrics {
    all: Metrics,
    route: OnceLock<Route>,
}

struct Route {
    name: RouteName,
    duration: Histogram,
    /// The first outcome without an error. Nearly all requests of a route have this outcome, and so need no look-up.
    usual: OnceLock<(Outcome, Counter)>,
}

impl EncodeLabelValue for RouteName {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.as_ref().encode(encoder)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let refused = Family::default();
        // Without the 0, `increase` misses the first refusal.
        for refusal in Refusal::all() {
            drop(refused.get_or_create(&Reason { reason: refusal.name() }));
        }
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            refused,
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            connections_displaced: Counter::default(),
        }
    }
}

impl Metrics {
    /// Adds the metrics to a registry.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Requests by the method, the pattern of the route, the status, and the code of an error";
        registry.register("http_requests", help, self.requests.clone());
        let help = "Time from the head of a request to its answer";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, self.durations.clone());
        registry.register("http_connections", "Open connections of clients", self.connections.clone());
        let help = "Connections beyond MAX_CONNECTIONS_PER_ADDRESS, which were closed at once";
        registry.register("http_connections_refused", help, self.connections_refused.clone());
        let help = "Idle connections that the server closed at MAX_CONNECTIONS to make room for another one";
        registry.register("http_connections_displaced", help, self.connections_displaced.clone());
        registry.register("tokens_refused", "Refused tokens, by reason", self.refused.clone());
    }
}

impl RouteMetrics {
    pub(super) fn new(all: Metrics) -> Self {
        Self { all, route: OnceLock::new() }
    }

    /// Takes the path from the first request. Every request of the route has the same `path`.
    pub(super) fn learn(&self, path: Option<&MatchedPath>) {
        self.route.get_or_init(|| {
            let name = RouteName(path.map_or(UNMATCHED, MatchedPath::as_str).into());
            let duration = self.all.durations.get_or_create_owned(&OfRoute { route: name.clone() });
            Route { name, duration, usual: OnceLock::new() }
        });
    }
}

impl Counted {
    /// The pattern of the route. The path is text from the client, which must not get into a log.
    pub(super) fn route(&self) -> &str {
        self.route.route.get().map_or(UNMATCHED, |route| &route.name.0)
    }

    /// Counts the request.
    pub(super) fn count(&self, status: u16, failure: Option<&Failure>, duration: Duration) {
        let RouteMetrics { all, route } = &*self.route;
        let Some(route) = route.get() else { return };
        route.duration.observe(duration.as_secs_f64());
        route.count(&all.requests, self.method, status, failure.and_then(|failure| failure.code));
        if let Some(refusal) = failure.and_then(|failure| failure.refusal) {
            all.refused.get_or_create(&Reason { reason: refusal.name() }).inc();
        }
    }
}

impl Route {
    fn count(
        &self,
        requests: &Family<Outcome, Counter>,
        method: &'static str,
        status: u16,
        code: Option<&'static str>,
    ) {
        let has_method = status != METHOD_NOT_ALLOWED && &*self.name.0 != UNMATCHED;
        let method = if has_method { method } else { OTHER_METHOD };
        let is_usual = |outcome: &Outcome| code.is_none() && (outcome.method, outcome.status) == (method, status);
        if let Some((_, counter)) = self.usual.get().filter(|(outcome, _)| is_usual(outcome)) {
            counter.inc();
            return;
        }
        let outcome = Outcome { method, route: self.name.clone(), status, code: code.unwrap_or(NO_CODE) };
        let counter = requests.get_or_create_owned(&outcome);
        counter.inc();
        if code.is_none() {
            // Another request may have set another outcome first.
            let _ = self.usual.set((outcome, counter));
        }
    }
}
