//! The token server as a library: what `main.rs` starts, and what the tests and benchmarks call.
//!
//! Each layer imports only from the layers below. The lower ones are crates of their own, so the compiler keeps the order.
//!
//! | layer | where | |
//! |---|---|---|
//! | start | [`start`], `main.rs` | store, workers, bind, serve until told to stop |
//! | faces | [`http`], [`cli`] | requests and commands; axum, hyper and tower only in `http`, clap only in `cli` |
//! | use cases | [`auth`], [`audit`] | one method for each route; knows neither HTTP nor a driver |
//! | ground | [`config`], [`log`] | settings and log lines |
//! | services | `crates/store`, `crates/password` | Redis and redb, argon2: one outside crate, one place |
//! | records | `crates/records` | users, sessions, limits, errors, the clock: plain data and plain rules |
//! | tokens | `crates/token` | JWTs; imports nothing of the server |
//!
//! `docs/architecture.md` walks a request and a removal through the files.

pub mod audit;
pub mod auth;
pub mod cli;
pub mod config;
pub mod http;
pub mod log;
pub mod start;
