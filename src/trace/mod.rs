//! Traces: where a request is in the trace of its caller.

mod context;

pub use self::context::TraceContext;
