//! Counts of failures and calls. They live in memory: nothing of them outlives a quarter of an hour or an hour anyway,
//! a failed sign-in then costs no flush to the disk, and there is no other replica to share them with.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

use crate::{
    id::Id,
    throttle::{Admission, Counter, FORGET_SECONDS, Limit, wait_seconds},
};

/// All counts, in milliseconds of the store's clock.
#[derive(Default)]
pub(super) struct Counts {
    accounts: Mutex<Expiring<Id, Failures>>,
    addresses: Mutex<Expiring<(Counter, Id), u64>>,
}

#[derive(Default, Clone, Copy)]
struct Failures {
    in_a_row: u32,
    wait_until: u64,
}

/// A map whose entries end; ended ones are dropped whenever it has doubled.
struct Expiring<K, V> {
    entries: HashMap<K, (V, u64)>,
    sweep_at: usize,
}

impl<K, V> Default for Expiring<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), sweep_at: 1_024 }
    }
}

impl<K: Eq + Hash, V: Default> Expiring<K, V> {
    /// The entry of `key` and its end; made if it is not there or has ended.
    fn entry(&mut self, key: K, now: u64, lives_millis: u64) -> &mut (V, u64) {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, (_, end)| *end > now);
            self.sweep_at = (self.entries.len() * 2).max(1_024);
        }
        let entry = self.entries.entry(key).or_default();
        if entry.1 <= now {
            *entry = (V::default(), now + lives_millis);
        }
        entry
    }
}

impl Counts {
    /// Counts a try from an address that the account does not know.
    pub(super) fn admit(&self, tag: Id, now: u64) -> Admission {
        let forget = FORGET_SECONDS * 1_000;
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let (failures, end) = accounts.entry(tag, now, forget);
        if now < failures.wait_until {
            return Admission::Wait((failures.wait_until - now).div_ceil(1_000));
        }
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        // No wait is no time at all: a try that read the clock a moment earlier, and got here later, must not wait for it.
        failures.wait_until = match wait_seconds(failures.in_a_row) {
            0 => 0,
            seconds => now + seconds * 1_000,
        };
        *end = now + forget;
        Admission::Counted
    }

    pub(super) fn withdraw(&self, tag: Id) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((failures, _)) = accounts.entries.get_mut(&tag) {
            *failures = Failures { in_a_row: failures.in_a_row.saturating_sub(1), wait_until: 0 };
        }
    }

    pub(super) fn forget(&self, tag: Id) {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).entries.remove(&tag);
    }

    pub(super) fn count(&self, counter: Counter, address: Id, limit: Limit, add: u64, now: u64) -> Option<u64> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, end) = addresses.entry((counter, address), now, limit.seconds * 1_000);
        if *count >= limit.count {
            return Some((*end - now).div_ceil(1_000).max(1));
        }
        *count += add;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::throttle::FREE_FAILURES;

    #[test]
    fn a_try_that_read_the_clock_earlier_does_not_wait_for_a_free_one() {
        let (counts, tag) = (Counts::default(), Id::digest(b"a@example.com"));
        for now in [5_000, 4_990, 5_010, 4_980] {
            assert_eq!(counts.admit(tag, now), Admission::Counted);
        }
        assert_eq!(FREE_FAILURES, 4);
        assert_eq!(counts.admit(tag, 5_020), Admission::Counted);
        assert_eq!(counts.admit(tag, 5_010), Admission::Wait(2));
        assert_eq!(counts.admit(tag, 5_030), Admission::Wait(1));
        assert_eq!(counts.admit(tag, 6_020), Admission::Counted);
    }
}
