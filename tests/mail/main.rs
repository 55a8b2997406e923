//! Mails to real SMTP servers: aiosmtpd, Debian's Exim over TLS, and servers that are silent, that refuse, and that die in
//! between.
//!
//! `cargo test` leaves this target out, because it needs what `.ci/libraries.sh mail` and `.ci/exim.sh` download.

#![expect(clippy::unwrap_used, reason = "a test panics at the step that fails")]

#[path = "../api/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the other tests use the rest")]
mod support;

mod aiosmtpd;
mod exim;
mod faults;
mod receiver;
mod running;
mod scene;
