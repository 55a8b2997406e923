//! The one log line of a request, which also counts the request.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use auth_service_records::refusal::Refusal;
use axum::http::{Method, StatusCode};

use super::{metrics::Counted, problem_response::Failure, request_id::RequestId, trace::Trace};

/// nginx's status for a client that did not wait for the answer. The status is only in the log, because no client
/// receives it.
const CLIENT_CLOSED_REQUEST: u16 = 499;
/// The answers to a request that somebody repeats all the time. Other answers, such as 400 for a query, are those of a
/// wrong request.
const READY: u16 = StatusCode::OK.as_u16();
const UNCHANGED: u16 = StatusCode::NOT_MODIFIED.as_u16();
const UNAVAILABLE: u16 = StatusCode::SERVICE_UNAVAILABLE.as_u16();

/// The last answer of each health check, and of the revocation feed: its status, and its code if it is an error.
///
/// Load balancers and orchestrators send health checks all the time, and verifiers poll the feed twice a second. So such
/// a request has a line at level info or warn only if its answer differs from the last one.
#[derive(Default)]
pub struct HealthAnswers {
    live: LastAnswer,
    ready: LastAnswer,
    feed: LastAnswer,
}

type LastAnswer = Mutex<Option<(u16, Option<&'static str>)>>;

impl HealthAnswers {
    /// Whether an answer differs from the last one to the same check. `None` for another route.
    fn is_new(&self, route: &str, answer: (u16, Option<&'static str>)) -> Option<bool> {
        let last = match route {
            "/livez" => &self.live,
            "/readyz" => &self.ready,
            "/revocations" => &self.feed,
            _ => return None,
        };
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        Some(last.replace(answer) != Some(answer))
    }
}

/// How a line is logged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Importance {
    /// A health check, or a poll of the feed, whose answer is the usual one.
    Usual,
    Normal,
    /// One that fails for the first time, or for another reason than before.
    NewlyFailing,
}

/// A log line that is not written yet. If the connection ends before the answer, the drop writes the line. The client
/// has then reset the connection, or the shutdown has timed out.
pub(super) struct LogLine {
    method: &'static str,
    counted: Counted,
    request_id: RequestId,
    trace: Trace,
    start: Instant,
    written: bool,
}

impl LogLine {
    /// Starts to measure the duration.
    pub(super) fn start(method: &'static str, counted: Counted, request_id: RequestId, trace: Trace) -> Self {
        Self { method, counted, request_id, trace, start: Instant::now(), written: false }
    }

    /// Writes the line of an answer.
    pub(super) fn answered(mut self, status: StatusCode, failure: Option<&Failure>, health: &HealthAnswers) {
        let code = failure.and_then(|failure| failure.code);
        let status = status.as_u16();
        // A poll that finds nothing new is as good as one that does.
        let outcome = if status == UNCHANGED { READY } else { status };
        let is_check = matches!(self.method, "GET" | "HEAD") && matches!(outcome, READY | UNAVAILABLE);
        let is_new = if is_check { health.is_new(self.counted.route(), (outcome, code)) } else { None };
        let importance = match is_new {
            Some(false) => Importance::Usual,
            Some(true) if status == UNAVAILABLE => Importance::NewlyFailing,
            _ => Importance::Normal,
        };
        self.trace.end(Some(status), code);
        self.write(status, failure, importance);
    }

    fn write(&mut self, status: u16, failure: Option<&Failure>, importance: Importance) {
        self.written = true;
        let code = failure.and_then(|failure| failure.code);
        let reason = failure.and_then(|failure| failure.refusal).map(Refusal::name);
        let detail = failure.and_then(|failure| failure.detail.as_deref());
        let (method, route) = (self.method, self.counted.route());
        let duration = self.start.elapsed();
        self.counted.count(status, failure, duration);
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let request_id = self.request_id.as_str();
        let (trace_id, span_id) = self.trace.ids();
        match importance {
            _ if detail.is_some() => {
                tracing::error!(
                    method,
                    route,
                    status,
                    duration_us,
                    request_id,
                    trace_id,
                    span_id,
                    code,
                    detail,
                    "request"
                );
            }
            Importance::Usual => {
                tracing::debug!(method, route, status, duration_us, request_id, trace_id, span_id, code, "request");
            }
            Importance::Normal => {
                tracing::info!(
                    method,
                    route,
                    status,
                    duration_us,
                    request_id,
                    trace_id,
                    span_id,
                    code,
                    reason,
                    "request"
                );
            }
            Importance::NewlyFailing => {
                tracing::warn!(method, route, status, duration_us, request_id, trace_id, span_id, code, "request");
            }
        }
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        if !self.written {
            let failure = Failure { code: Some("client_closed_request"), refusal: None, detail: None };
            self.trace.end(None, failure.code);
            self.write(CLIENT_CLOSED_REQUEST, Some(&failure), Importance::Normal);
        }
    }
}

/// An unknown method is the client's text too, which does not belong in a log.
pub(super) fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "OTHER",
    }
}
