//! The stores that a test runs on.

/// The store under a test's server. A test of every store takes `#[values(Redis, Embedded)] store: Store`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    /// The Redis that tests share, in the form that `TEST_TOPOLOGY` names.
    Redis,
    /// A store of the server's own.
    Embedded,
}
