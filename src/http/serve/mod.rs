//! The listener, the workers, the connections and their limits, and the way out.
//!
//! One thread accepts and hands each connection to the worker that has the fewest. A worker is one thread with one
//! current-thread runtime. Nothing on a request's path crosses a thread, and a few long-lived connections from a load
//! balancer spread as evenly as many do, which SO_REUSEPORT does not promise.

pub(super) mod activity;
mod connection;
pub(super) mod server;
mod watched;
pub(super) mod worker;
