//! A real Prometheus with the files of `deploy/monitoring` watches real servers. Each fault fires its alert and no
//! other alert. After the repair of the fault, the alert ends. Every query of the dashboard returns data.
//!
//! A test cannot wait for five minutes, so the tests divide all durations in the rules and in the configuration by
//! [`SPEED`](prometheus::speed), also the age of a webhook that waits. They change nothing else.
//! `TEST_MONITORING_SPEED=1` runs them at the real speed.
//!
//! `cargo test` leaves this target out, because it needs Prometheus and takes minutes.

#![expect(clippy::unwrap_used, reason = "a test panics at the step that fails")]

#[path = "../api/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the other tests use the rest")]
mod support;

mod dashboard;
mod disks;
mod files;
mod keys;
mod mails;
mod prometheus;
mod replicas;
mod sign_ins;
mod site;
mod stores;
mod traffic;
mod webhooks;
