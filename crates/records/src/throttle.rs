//! The limits on guessing passwords and on calls that anyone may make. The store counts, so all replicas share the
//! counts.

use std::{collections::BTreeMap, net::IpAddr};

use auth_service_token::Id;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The number of failures in a row without a wait. Each further failure causes a wait.
pub const FREE_FAILURES: u32 = 4;
/// The longest wait between two guesses before the account has [`MOST_FAILURES`] failures, in seconds.
pub const LONGEST_WAIT_SECONDS: u64 = 60;
/// The number of failures in a row after which no guess is accepted until the count expires (NIST SP 800-63B-4, section
/// 3.2.2).
pub const MOST_FAILURES: u32 = 100;
/// A count of failures expires after this many seconds without a failure. The count of an address has a window of the
/// same length.
pub const FORGET_SECONDS: u64 = 15 * 60;
/// An account knows an address for this many days after the last sign-in from that address.
pub const KNOWN_DAYS: u64 = 30;
/// The maximum number of addresses that an account knows. A new address replaces the least recently used one.
pub const KNOWN_ADDRESSES: usize = 16;

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// The wait after `failures` failures in a row, in seconds: none at first, then 1, 2, 4 … 60, and finally
/// [`FORGET_SECONDS`].
#[must_use]
pub fn wait_seconds(failures: u32) -> u64 {
    match failures.checked_sub(FREE_FAILURES + 1) {
        None => 0,
        Some(_) if failures >= MOST_FAILURES => FORGET_SECONDS,
        Some(doublings) => 1_u64.checked_shl(doublings).unwrap_or(u64::MAX).min(LONGEST_WAIT_SECONDS),
    }
}

/// Calls that are counted for each client address, and mails that are counted for each mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Guesses at a password that were wrong or are being verified.
    Failures,
    /// Token removals by callers without a token.
    Removals,
    /// Sign-ups, whether or not they succeed.
    SignUps,
    /// Requests for a mail, counted for each client address.
    Mails,
    /// Links to a mailbox that reset a password. Each kind of link has a count of its own, because the requests for one
    /// kind must not use up the links of another.
    ResetLinks,
    /// Links to a mailbox that verify its address.
    VerificationLinks,
    /// Links to a mailbox that make its address the one of an account.
    ChangeLinks,
    /// Notices to a mailbox about changes of its account.
    Notices,
}

/// Whether a guess at the password of an account may be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The guess counts as failed until a correct password resets the count or the caller withdraws the guess.
    Admitted,
    /// The next guess is possible after this many seconds.
    Wait(u64),
}

/// The maximum number of calls in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The maximum number of calls. 0 for no limit.
    pub count: u64,
    /// The length of the period, in seconds. The period starts with the first call.
    pub seconds: u64,
}

/// The name of a client address in counters. All addresses of an IPv6 /64 have the same name, because a /64 belongs to
/// one subscriber. An IPv4 address and its IPv4-mapped IPv6 address have the same name too.
///
/// The digest uses no secret key, so that a rotation of secrets keeps all counts. A reader of the store can find an
/// IPv4 address by brute force, but the store holds the address of each live session in plain text anyway.
#[must_use]
pub fn address_name(address: IpAddr) -> Id {
    Id::digest(network(address).as_slice())
}

/// The name of a client address among the addresses that one account knows. The account's id is the salt of the name,
/// so that the names do not tell whether two accounts know the same address.
#[must_use]
pub fn known_address_name(user_id: Uuid, address: IpAddr) -> Id {
    let mut input = user_id.as_bytes().to_vec();
    input.extend(network(address));
    Id::digest(&input)
}

fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets()[..8].to_vec(),
    }
}

/// The addresses that an account knows, each with the day of the last sign-in from it (days since 1970).
///
/// A known address has its own count of guesses, so that guesses from other addresses never lock out the owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KnownAddresses(BTreeMap<Id, u64>);

impl KnownAddresses {
    /// Whether `name` is known at the time `now`, in seconds since the Unix epoch.
    #[must_use]
    pub fn contains(&self, name: Id, now: u64) -> bool {
        self.0.get(&name).is_some_and(|day| day + KNOWN_DAYS >= now / SECONDS_PER_DAY)
    }

    /// Records a sign-in from `name` at the time `now`, in seconds since the Unix epoch, and removes the addresses that
    /// are too old or exceed [`KNOWN_ADDRESSES`]. Returns whether anything has changed, which happens at most once a
    /// day for each address.
    pub fn remember(&mut self, name: Id, now: u64) -> bool {
        let today = now / SECONDS_PER_DAY;
        if self.0.get(&name) == Some(&today) {
            return false;
        }
        self.0.retain(|_, day| *day + KNOWN_DAYS >= today);
        self.0.insert(name, today);
        while self.0.len() > KNOWN_ADDRESSES {
            let others = self.0.iter().filter(|(other, _)| **other != name);
            let Some(oldest) = others.min_by_key(|(_, day)| **day).map(|(other, _)| *other) else { break };
            self.0.remove(&oldest);
        }
        true
    }

    /// All names, including those that are too old.
    pub fn names(&self) -> impl Iterator<Item = Id> + '_ {
        self.0.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: u8) -> Id {
        Id::digest(&[n])
    }

    #[test]
    fn the_wait_doubles_from_the_fifth_failure_on_and_ends_with_a_pause() {
        let waits: Vec<_> = (1..=13).map(wait_seconds).collect();
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(wait_seconds(99), 60);
        assert_eq!(wait_seconds(100), FORGET_SECONDS);
        assert_eq!(wait_seconds(u32::MAX), FORGET_SECONDS);
    }

    #[test]
    fn an_ipv6_subscriber_is_one_address() {
        let of = |text: &str| address_name(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
    }

    #[test]
    fn two_accounts_have_different_names_for_one_address() {
        let (one, other, address) = (Uuid::from_u128(1), Uuid::from_u128(2), "192.0.2.1".parse().unwrap());
        assert_ne!(known_address_name(one, address), known_address_name(other, address));
    }

    #[test]
    fn an_address_is_known_for_thirty_days_after_the_last_sign_in() {
        let (mut known, day) = (KnownAddresses::default(), SECONDS_PER_DAY);
        assert!(known.remember(name(1), 100 * day));
        assert!(!known.remember(name(1), 100 * day + 3_600));
        assert!(known.contains(name(1), 130 * day));
        assert!(!known.contains(name(1), 131 * day));
        assert!(!known.contains(name(2), 100 * day));
        assert!(known.remember(name(2), 131 * day));
        assert_eq!(known.names().collect::<Vec<_>>(), [name(2)]);
    }

    #[test]
    fn the_address_that_was_used_longest_ago_gives_way() {
        let mut known = KnownAddresses::default();
        for n in 0..=16 {
            known.remember(name(n), (100 + u64::from(n)) * SECONDS_PER_DAY);
        }
        assert_eq!(known.names().count(), KNOWN_ADDRESSES);
        assert!(!known.contains(name(0), 116 * SECONDS_PER_DAY));
        assert!(known.contains(name(16), 116 * SECONDS_PER_DAY));
    }

    #[test]
    fn an_address_never_gives_way_to_itself() {
        let mut known = KnownAddresses::default();
        for n in 0..=100 {
            known.remember(name(n), 100 * SECONDS_PER_DAY);
            assert!(known.contains(name(n), 100 * SECONDS_PER_DAY));
        }
        assert_eq!(known.names().count(), KNOWN_ADDRESSES);
    }
}
