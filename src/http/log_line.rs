//! The one log line of a request.

use std::time::Instant;

use axum::{
    extract::MatchedPath,
    http::{Method, StatusCode},
};

use super::{problem_response::Failure, request_id::RequestId};

/// nginx's status for a client that did not wait for the answer. The status is only in the log, because no client
/// receives it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A log line that is not written yet. If the connection ends before the answer, the drop writes the line. The client
/// has then reset the connection, or the shutdown has timed out.
pub(super) struct LogLine {
    method: &'static str,
    /// `None` when no route has the path. The path itself is the client's text, which does not belong in a log.
    route: Option<MatchedPath>,
    request_id: RequestId,
    start: Instant,
    written: bool,
}

impl LogLine {
    /// Starts to measure the duration.
    pub(super) fn start(method: &Method, route: Option<MatchedPath>, request_id: RequestId) -> Self {
        Self { method: known_method(method), route, request_id, start: Instant::now(), written: false }
    }

    /// Writes the line of an answer.
    pub(super) fn answered(mut self, status: StatusCode, failure: Option<Failure>) {
        let (code, detail) = failure.map_or((None, None), |failure| (Some(failure.code), failure.detail));
        self.write(status.as_u16(), code, detail.as_deref());
    }

    fn write(&mut self, status: u16, code: Option<&str>, detail: Option<&str>) {
        self.written = true;
        let method = self.method;
        let route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str);
        let duration_us = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let request_id = self.request_id.as_str();
        if detail.is_some() {
            tracing::error!(method, route, status, duration_us, request_id, code, detail, "request");
        } else {
            tracing::info!(method, route, status, duration_us, request_id, code, "request");
        }
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        if !self.written {
            self.write(CLIENT_CLOSED_REQUEST, Some("client_closed_request"), None);
        }
    }
}

/// An unknown method is the client's text too, which does not belong in a log.
fn known_method(method: &Method) -> &'static str {
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
