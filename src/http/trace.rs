//! The trace of a request, in requests, answers and log lines.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::trace::{Span, TraceContext, Tracer};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The counterpart of `traceparent` in answers (<https://w3c.github.io/trace-context/#trace-context-http-response-headers-format>).
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The trace that the caller names. The specification demands that the server ignores a header that is invalid or
/// repeated.
pub(super) fn of_caller(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => TraceContext::parse(value.as_bytes()),
        _ => None,
    }
}

/// The place of a request in its trace, and the span of the request if the server exports spans.
pub(super) struct Trace {
    context: Option<TraceContext>,
    span: Option<Span>,
}

impl Trace {
    /// Starts the span. `caller` is the place that the caller names.
    pub(super) fn begin(
        tracer: Option<&Tracer>,
        method: &'static str,
        route: Option<&str>,
        caller: Option<TraceContext>,
    ) -> Self {
        let span = tracer.map(|tracer| tracer.span(method, route, caller.as_ref()));
        let context = span.as_ref().map_or(caller, Span::context);
        Self { context, span }
    }

    /// The span of the request, or else that of the caller.
    pub(super) fn context(&self) -> Option<TraceContext> {
        self.context
    }

    /// The ids of the trace and of the span.
    pub(super) fn ids(&self) -> (Option<&str>, Option<&str>) {
        self.context.as_ref().map(TraceContext::ids).unzip()
    }

    /// Ends the span. `status` is `None` if the client got no answer.
    pub(super) fn end(&mut self, status: Option<u16>, code: Option<&'static str>) {
        if let Some(span) = self.span.take() {
            span.end(status, code);
        }
    }
}

/// Adds the trace to the headers of an answer.
pub(super) fn answer(trace: Option<&TraceContext>, headers: &mut HeaderMap) {
    // The text is always a valid header value.
    if let Some(value) = trace.and_then(|trace| HeaderValue::from_str(trace.as_str()).ok()) {
        headers.insert(TRACERESPONSE, value);
    }
}
