//! The export of spans by OTLP, in a build with the feature `otlp`, to a collector of the test's own.

#![expect(clippy::unwrap_used, reason = "a test panics at the step that fails")]

#[path = "../api/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the other tests use the rest")]
mod support;

mod collector;
mod failures;
mod protobuf;
mod spans;
