//! The OpenAPI document of real servers: openapi-spec-validator checks the document, and schemathesis sends what the
//! document allows and what it forbids, and compares every answer with the document.
//!
//! `cargo test` leaves this target out, because it needs what `.ci/libraries.sh openapi` downloads. `schemathesis.toml`
//! says what schemathesis does, and `hooks.py` gives it credentials.

#![expect(clippy::unwrap_used, reason = "a test panics at the step that fails")]

#[path = "../api/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the other tests use the rest")]
mod support;

mod fuzz;
mod python;
mod validity;
