//! Entries of the feed of revocations.

use std::fmt;

/// The number of entries of a page.
pub const PAGE: usize = 10_000;
/// How much longer than a token an entry stays in the feed, in seconds. Covers a verifier that did not poll, and clocks
/// that differ.
pub const MARGIN_SECONDS: u64 = 30;

/// The place of an entry in the feed: the id of a Redis stream. Entries have ascending ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct StreamId {
    /// The time of the store, in milliseconds since the Unix epoch.
    pub millis: u64,
    /// Orders the entries of a millisecond.
    pub number: u64,
}

/// Ids that were revoked together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The place of the entry.
    pub id: StreamId,
    /// Each is the `eid` or the `sid` of access tokens, or the `kid` of a signing key.
    pub revoked: Vec<String>,
}

impl StreamId {
    /// Parses two numbers with a hyphen between them, in decimal digits and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (millis, number) = text.split_once('-')?;
        Some(Self { millis: digits(millis)?, number: digits(number)? })
    }

    /// The next place.
    #[must_use]
    pub fn next(self) -> Self {
        match self.number.checked_add(1) {
            Some(number) => Self { number, ..self },
            None => Self { millis: self.millis.saturating_add(1), number: 0 },
        }
    }
}

fn digits(text: &str) -> Option<u64> {
    // `parse` alone would also accept a sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_numbers_are_an_id() {
        let id = StreamId { millis: 1_800_000_000_000, number: 7 };
        assert_eq!(StreamId::parse(&id.to_string()), Some(id));
        assert_eq!(id.next(), StreamId { number: 8, ..id });
        for text in ["", "-", "1", "1-", "-1", "1-2-3", "+1-2", "1- 2", "1-x", "18446744073709551616-0"] {
            assert_eq!(StreamId::parse(text), None, "{text}");
        }
    }
}
