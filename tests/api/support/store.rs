//! The stores that a test runs on.

/// The store of a test's server. A test that runs on every store takes `#[values(Redis, Embedded)] store: Store`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    /// The Redis that tests share, in the topology that `TEST_TOPOLOGY` names.
    Redis,
    /// An embedded store, which only this server uses.
    Embedded,
}
