//! The limits on guessing passwords and on calls that anyone may make. The store counts, so that all replicas share it.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::id::Id;

/// Failed sign-ins of an account that cost no wait yet; the next one does.
pub const FREE_FAILURES: u32 = 4;
/// The longest wait between two tries on one account, in seconds.
pub const LONGEST_WAIT_SECONDS: u64 = 60;
/// Failures are forgotten after this long without one, in seconds; also the window of an address' count.
pub const FORGET_SECONDS: u64 = 15 * 60;
/// An address from which the account signed in is known for at least so many days.
pub const KNOWN_DAYS: u64 = 30;
/// Known addresses kept for one account; the one that was used longest ago gives way.
pub const KNOWN_ADDRESSES: usize = 16;

/// The wait that the `failures`-th failure in a row brings, in seconds: none for the first, then 1, 2, 4 … 60.
#[must_use]
pub fn wait_seconds(failures: u32) -> u64 {
    match failures.checked_sub(FREE_FAILURES + 1) {
        None => 0,
        Some(doublings) => 1_u64.checked_shl(doublings).unwrap_or(u64::MAX).min(LONGEST_WAIT_SECONDS),
    }
}

/// What is counted for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Passwords that were wrong.
    Failures,
    /// Token removals by somebody who showed no token.
    Removals,
    /// Accounts created.
    SignUps,
}

/// What the store says to a try at an account's password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Go on; the account knows the address, so that the try is judged by the address' count alone.
    Known,
    /// Go on; the try counts as failed until it has succeeded or is withdrawn.
    Counted,
    /// Not before so many seconds.
    Wait(u64),
}

/// So many in so many seconds; 0 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub count: u64,
    /// In how many seconds, from the first.
    pub seconds: u64,
}

/// Turns addresses into names that say nothing without the key.
pub struct AddressDigest(Hmac<Sha256>);

impl AddressDigest {
    /// Derives the key from a secret that all replicas share.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        // HMAC takes a key of any length, so that the fallback is never taken.
        let keyed = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&[0; 64].into()));
        let derived = keyed(secret).chain_update(b"auth-service address digest").finalize().into_bytes();
        Self(keyed(&derived))
    }

    /// The same for all of an IPv6 /64, which one subscriber has, and for an IPv4 address in either notation.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> Id {
        let mac = match address.to_canonical() {
            IpAddr::V4(v4) => self.0.clone().chain_update(v4.octets()),
            IpAddr::V6(v6) => self.0.clone().chain_update(&v6.octets()[..8]),
        };
        Id::digest(&mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_the_fifth_failure_on() {
        let waits: Vec<_> = (1..=13).map(wait_seconds).collect();
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(wait_seconds(u32::MAX), 60);
    }

    #[test]
    fn an_ipv6_subscriber_is_one_address() {
        let digest = AddressDigest::new(&[7; 32]);
        let of = |text: &str| digest.of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), AddressDigest::new(&[8; 32]).of("192.0.2.1".parse().unwrap()));
    }
}
