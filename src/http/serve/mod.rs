//! The listener, the workers, the connections and their limits, and the shutdown.
//!
//! One thread accepts connections, and hands each to the worker that has the fewest connections. A worker is one thread
//! with a current-thread runtime. A request leaves this thread only for a hash and for a write of the embedded store.
//! Even a few long-lived connections from a load balancer spread evenly over the workers, which SO_REUSEPORT does not
//! guarantee.

pub(super) mod activity;
mod connection;
pub(super) mod places;
pub(super) mod server;
mod watched;
pub(super) mod worker;
