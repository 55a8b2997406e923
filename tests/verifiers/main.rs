//! Verifiers of other projects check the server's own ES256 tokens by its own JWKS, before and after a rotation of the
//! keys. The programs in `docs/resource-servers.md` run as they are printed.
//!
//! `cargo test` leaves this target out, because it needs `jose`, and what `.ci/libraries.sh verifiers` and `deploy/proxies.sh`
//! download.

#![expect(clippy::unwrap_used, reason = "a test panics at the step that fails")]

#[path = "../api/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the other tests use the rest")]
mod support;

mod document;
mod envoy;
mod jose;
mod python;
mod python_page;
mod scene;
