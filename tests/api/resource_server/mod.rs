//! The tower middleware, as its users meet it: the axum example against real servers.

mod answers;
mod filter;
mod keys;
mod outages;
mod removals;
mod shop;
mod tls;
mod traffic;
