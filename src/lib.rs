//! The token server as a library, for `main.rs`, the tests and the benchmarks.
//!
//! Each layer imports only from the layers below. The lower layers are crates of their own, so the compiler enforces
//! the order.
//!
//! | layer | where | contents |
//! |---|---|---|
//! | start | [`start`], `main.rs` | opens the store, starts the workers, binds, serves until a signal to stop |
//! | metrics | [`metrics`] | the metrics of all layers, in one registry |
//! | interfaces | [`http`], [`cli`] | requests and commands; axum, hyper and tower only in `http`, clap only in `cli` |
//! | use cases | [`auth`], [`audit`] | one method for each route; knows neither HTTP nor a driver |
//! | keys | `keys` | the ES256 keys of the server: in the store, or in a file |
//! | webhooks | [`webhooks`] | the delivery of security events to the operator's URL |
//! | base | [`config`], [`log`], [`trace`] | settings, log lines, traces |
//! | services | `crates/store`, `crates/password`, `crates/totp`, `crates/mail`, `crates/webhook` | Redis and redb, password hashes, second factors, SMTP, webhooks: each outside crate in one place |
//! | records | `crates/records` | users, sessions, limits, errors, the clock: plain data and plain rules |
//! | tokens | `crates/token` | JWTs; imports nothing from the server |
//!
//! `crates/resource-server` is a middleware for other services. The server does not use it.
//!
//! `docs/architecture.md` follows a request and a removal through the files.

pub mod audit;
pub mod auth;
pub mod cli;
pub mod config;
pub mod http;
mod keys;
pub mod log;
pub mod metrics;
pub mod start;
pub mod trace;
pub mod webhooks;
