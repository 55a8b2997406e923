//! Replicas, load balancers and Redis servers that stop, freeze, lose their connections or change roles, under load.
//!
//! These tests take minutes and need the whole machine. `cargo test` leaves this target out;
//! `cargo test --test failover` runs it.

#![expect(clippy::unwrap_used, reason = "a test panics at the step that fails")]

#[path = "../api/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the other tests use the rest")]
mod support;

mod address_limits;
mod forward_auth;
mod haproxy;
mod keep_alive;
mod load_balancer;
mod majorities;
mod moves;
mod proxies;
mod proxy_programs;
mod recorder;
mod recording;
mod revocations;
mod rotations;
mod site;
mod topologies;
mod waiting_writes;
