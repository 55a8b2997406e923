//! Traces: the place of a request in the trace of its caller, and the span of the request.
//!
//! Only a build with the feature `otlp` has spans.

mod context;
#[cfg(not(feature = "otlp"))]
mod off;
#[cfg(feature = "otlp")]
mod otlp;

use std::env;

pub use self::context::TraceContext;
#[cfg(not(feature = "otlp"))]
pub use self::off::{Span, Tracer};
#[cfg(feature = "otlp")]
pub use self::otlp::{Span, Tracer};

/// Whether the standard variables name a collector that gets the spans.
#[must_use]
pub fn is_wanted() -> bool {
    let value = |name: &str| env::var(name).unwrap_or_default();
    let is_named = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]
        .iter()
        .any(|name| !value(name).is_empty());
    let exporter = value("OTEL_TRACES_EXPORTER");
    is_named && matches!(&*exporter, "" | "otlp") && !value("OTEL_SDK_DISABLED").eq_ignore_ascii_case("true")
}
