//! Spans for a collector, by OTLP over HTTP (<https://opentelemetry.io/docs/specs/otlp/>).
//!
//! A thread of the exporter sends the spans in batches. A request only puts its span into a bounded queue, and drops the
//! span if the queue is full.

mod collector;

use std::{borrow::Cow, env, io, time::Duration};

use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
        TraceState, Tracer as _, TracerProvider,
    },
};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    resource::{EnvResourceDetector, TelemetryResourceDetector},
    trace::{SdkTracer, SdkTracerProvider},
};

use self::collector::Collector;
use super::context::TraceContext;

const SERVICE: &str = env!("CARGO_PKG_NAME");
/// How long the shutdown waits for the last spans.
const FLUSH: Duration = Duration::from_secs(2);

/// Starts the spans of requests, and sends the spans that have ended.
#[derive(Clone)]
pub struct Tracer {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// The span of a request.
pub struct Span(opentelemetry_sdk::trace::Span);

impl Tracer {
    /// Reads the standard variables, such as `OTEL_EXPORTER_OTLP_ENDPOINT`. Never `None`.
    ///
    /// # Errors
    /// When a variable is wrong.
    pub fn from_environment() -> io::Result<Option<Self>> {
        let exporter = SpanExporter::builder().with_http().with_http_client(Collector::new()?);
        let exporter = exporter.build().map_err(|error| io::Error::other(format!("the export of traces: {error}")))?;
        let provider = SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter).build();
        let tracer = provider.tracer(SERVICE);
        Ok(Some(Self { provider, tracer }))
    }

    /// Starts a span. `parent` is the span of the caller. `route` is `None` if no route has the path.
    #[must_use]
    pub fn span(&self, method: &'static str, route: Option<&str>, parent: Option<&TraceContext>) -> Span {
        // The semantic conventions for HTTP demand these names for an unknown method.
        let (name, method) = if method == "OTHER" { ("HTTP", "_OTHER") } else { (method, method) };
        let mut attributes = vec![KeyValue::new("http.request.method", method)];
        let name = match route {
            Some(route) => {
                attributes.push(KeyValue::new("http.route", route.to_owned()));
                Cow::Owned(format!("{name} {route}"))
            }
            None => Cow::Borrowed(name),
        };
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Server).with_attributes(attributes);
        let context = parent.and_then(remote).map(|parent| Context::new().with_remote_span_context(parent));
        Span(self.tracer.build_with_context(builder, &context.unwrap_or_default()))
    }

    /// Sends the spans that wait in the queue. Gives up after two seconds.
    pub fn flush(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH) {
            tracing::warn!("the last spans were not sent: {error}");
        }
    }
}

impl Span {
    /// The place of this span in its trace.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        let context = self.0.span_context();
        let (trace_id, span_id, flags) = (context.trace_id(), context.span_id(), context.trace_flags());
        TraceContext::parse(format!("00-{trace_id}-{span_id}-{flags:02x}").as_bytes())
    }

    /// Ends the span, with the status of the answer and the code of an error. Without a status, there was no answer.
    pub fn end(mut self, status: Option<u16>, code: Option<&'static str>) {
        if let Some(status) = status {
            self.0.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        }
        // The semantic conventions count a 4xx as an error of the client, not of the server.
        if status.is_none_or(|status| status >= 500) {
            self.0.set_status(Status::error(""));
            let status = status.map(|status| status.to_string());
            if let Some(kind) = code.map(Cow::Borrowed).or(status.map(Cow::Owned)) {
                self.0.set_attribute(KeyValue::new("error.type", kind));
            }
        }
        self.0.end();
    }
}

/// `OTEL_SERVICE_NAME` has priority over `OTEL_RESOURCE_ATTRIBUTES`, and both have priority over the defaults of this
/// program.
fn resource() -> Resource {
    let named = Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", SERVICE),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ])
        .with_detectors(&[Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())]);
    match env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty()) {
        Some(name) => named.with_service_name(name).build(),
        None => named.build(),
    }
}

fn remote(parent: &TraceContext) -> Option<SpanContext> {
    let (trace_id, span_id) = parent.ids();
    let (trace_id, span_id) = (TraceId::from_hex(trace_id).ok()?, SpanId::from_hex(span_id).ok()?);
    let flags = TraceFlags::new(parent.flags());
    Some(SpanContext::new(trace_id, span_id, flags, true, TraceState::default()))
}
