//! Counts each failover once for the whole process, although each runtime notices the failover.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// The primaries of all connections of the process, by address.
#[derive(Default)]
pub(super) struct Primaries(Mutex<BTreeSet<String>>);

impl Primaries {
    /// Notes a primary that has replaced no other server.
    pub(super) fn add(&self, server: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(server);
    }

    /// Notes that the server `to` has replaced the server `from`. Returns whether this call is the first to report the
    /// failover.
    pub(super) fn replace(&self, from: &str, to: String) -> bool {
        let mut primaries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = from != to && primaries.remove(from);
        primaries.insert(to);
        is_first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failover_counts_once_however_many_runtimes_see_it() {
        let primaries = Primaries::default();
        for _ in 0..2 {
            primaries.add("a".to_owned());
        }
        let counted = |from, to: &str| primaries.replace(from, to.to_owned());
        assert!(!counted("a", "a"), "a server that is back is no failover");
        assert_eq!([counted("a", "b"), counted("a", "b")], [true, false]);
        assert_eq!([counted("b", "a"), counted("b", "a")], [true, false]);
    }
}
