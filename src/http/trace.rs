//! The trace of a request, in requests, answers and log lines.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::trace::TraceContext;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The counterpart of `traceparent` in answers (<https://w3c.github.io/trace-context/#trace-context-http-response-headers-format>).
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The trace that the caller names. A header that is not valid, or that is there twice, counts as none, as the
/// specification demands.
pub(super) fn of_caller(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => TraceContext::parse(value.as_bytes()),
        _ => None,
    }
}

/// Adds the trace to the headers of an answer.
pub(super) fn answer(trace: Option<&TraceContext>, headers: &mut HeaderMap) {
    // The text is always a valid header value.
    if let Some(value) = trace.and_then(|trace| HeaderValue::from_str(trace.as_str()).ok()) {
        headers.insert(TRACERESPONSE, value);
    }
}
