//! The token server as a library: what `main.rs` starts, and what tests and benches call.
//!
//! Each layer imports only from the ones below it; `tests/api/layering.rs` fails on an upward import.
//!
//! | layer | modules | |
//! |---|---|---|
//! | faces | [`http`], [`cli`] | requests and commands in, answers out; axum, hyper and tower only in `http`, clap only in `cli` |
//! | use cases | [`auth`] | one method per route; knows neither HTTP nor a driver |
//! | services | [`store`], [`token`], [`password`], [`audit`] | Redis and redb, JWT, argon2: each outside crate in one place |
//! | records | [`user`], [`session`], [`throttle`] | plain data and plain rules |
//! | ground | [`clock`], [`config`], [`error`], [`log`], [`secret`], [`id`] | `error` and `id` import nothing of ours |
//!
//! A request: `http/serve.rs` (connection) → `http/envelope.rs` (id, log, checks of every request) → `http/mod.rs`
//! (routes) → a handler in `http/accounts.rs`, `sessions.rs`, `tokens.rs` or `health.rs` → a method of [`auth::Auth`] →
//! [`token::TokenKind::verify`] and an operation of [`store::Store`].

pub mod audit;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod error;
pub mod http;
pub mod id;
pub mod log;
pub mod password;
pub mod secret;
pub mod session;
pub mod store;
pub mod throttle;
pub mod token;
pub mod user;
