//! The counts of guesses and calls. The counts are in memory only, so that a failed sign-in costs no flush to the disk.
//! A restart may lose them, because no count lives longer than an hour. No other replica shares them.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

use auth_service_records::{
    clock::Clock,
    throttle::{Admission, Counter, FORGET_SECONDS, Limit, wait_seconds},
};
use auth_service_token::Id;

/// The maximum number of entries of a map. In a full map, the half that expires first is removed.
const MOST_ENTRIES: usize = 1_000_000;

/// The account, and the known address of the guesses. `None` stands for all other addresses.
type Guesser = (Id, Option<Id>);

/// All counts.
pub(super) struct Counts {
    clock: Clock,
    guesses: Mutex<Expiring<Guesser, Failures>>,
    calls: Mutex<Expiring<(Counter, Id), u64>>,
}

#[derive(Default)]
struct Failures {
    in_a_row: u32,
    /// In milliseconds since the Unix epoch.
    wait_until: u64,
}

/// A map whose entries expire. The map removes expired entries each time its size has doubled.
struct Expiring<K, V> {
    entries: HashMap<K, ExpiringEntry<V>>,
    sweep_at: usize,
}

#[derive(Default)]
struct ExpiringEntry<V> {
    value: V,
    /// In milliseconds since the Unix epoch.
    expiry: u64,
}

impl<K, V> Default for Expiring<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), sweep_at: 1_024 }
    }
}

impl<K: Eq + Hash, V: Default> Expiring<K, V> {
    /// The entry of `key`, or a new entry if there is none or it has expired.
    fn entry(&mut self, key: K, now: u64, lives_millis: u64) -> &mut ExpiringEntry<V> {
        if self.entries.len() >= self.sweep_at {
            self.sweep(now);
        }
        let entry = self.entries.entry(key).or_default();
        if entry.expiry <= now {
            *entry = ExpiringEntry { value: V::default(), expiry: now.saturating_add(lives_millis) };
        }
        entry
    }

    fn sweep(&mut self, now: u64) {
        self.entries.retain(|_, entry| entry.expiry > now);
        if self.entries.len() >= MOST_ENTRIES {
            let mut expiries: Vec<u64> = self.entries.values().map(|entry| entry.expiry).collect();
            let (_, &mut median, _) = expiries.select_nth_unstable(MOST_ENTRIES / 2);
            self.entries.retain(|_, entry| entry.expiry > median);
        }
        self.sweep_at = (self.entries.len() * 2).clamp(1_024, MOST_ENTRIES);
    }
}

impl Counts {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, guesses: Mutex::default(), calls: Mutex::default() }
    }

    /// Counts a guess as failed, unless the guess has to wait.
    pub(super) fn admit_guess(&self, tag: Id, known: Option<Id>) -> Admission {
        let forget_millis = FORGET_SECONDS * 1_000;
        let mut guesses = lock(&self.guesses);
        // The clock is read under the lock, so that no guess has an earlier time than the guess before it.
        let now = self.clock.now_millis();
        let entry = guesses.entry((tag, known), now, forget_millis);
        let failures = &mut entry.value;
        if now < failures.wait_until {
            return Admission::Wait((failures.wait_until - now).div_ceil(1_000));
        }
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        failures.wait_until = now + wait_seconds(failures.in_a_row) * 1_000;
        entry.expiry = now + forget_millis;
        Admission::Admitted
    }

    /// Takes back an admitted guess, and the wait that the guess caused.
    pub(super) fn withdraw_guess(&self, tag: Id, known: Option<Id>) {
        let mut guesses = lock(&self.guesses);
        if let Some(entry) = guesses.entries.get_mut(&(tag, known)) {
            let in_a_row = entry.value.in_a_row.saturating_sub(1);
            entry.value = Failures { in_a_row, wait_until: 0 };
        }
    }

    /// Resets the failures of the account: the count that all unknown addresses share, and the counts of the `known`
    /// addresses.
    pub(super) fn forget_guesses(&self, tag: Id, known: impl IntoIterator<Item = Id>) {
        let mut guesses = lock(&self.guesses);
        guesses.entries.remove(&(tag, None));
        for address in known {
            guesses.entries.remove(&(tag, Some(address)));
        }
    }

    /// Counts a call. If the limit is reached, counts nothing, and returns the seconds until the count restarts.
    pub(super) fn count_call(&self, counter: Counter, address: Id, limit: Limit) -> Option<u64> {
        if limit.count == 0 {
            return None;
        }
        let mut calls = lock(&self.calls);
        let now = self.clock.now_millis();
        let entry = calls.entry((counter, address), now, limit.seconds.saturating_mul(1_000));
        if entry.value >= limit.count {
            return Some((entry.expiry - now).div_ceil(1_000).max(1));
        }
        entry.value += 1;
        None
    }

    /// Takes back a call that was counted.
    pub(super) fn uncount_call(&self, counter: Counter, address: Id) {
        if let Some(entry) = lock(&self.calls).entries.get_mut(&(counter, address)) {
            entry.value = entry.value.saturating_sub(1);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_names_does_not_fill_the_memory() {
        let mut map: Expiring<usize, u32> = Expiring::default();
        for name in 0..MOST_ENTRIES + 1_000 {
            map.entry(name, 0, 1_000 + name as u64).value += 1;
        }
        assert!(map.entries.len() <= MOST_ENTRIES);
        assert_eq!(map.entry(MOST_ENTRIES - 1, 0, 1).value, 1, "the counts that expire last are kept");
        assert_eq!(map.entry(0, 0, 1).value, 0);
        map.sweep(u64::MAX);
        assert_eq!(map.entries.len(), 0);
    }
}
