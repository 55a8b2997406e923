//! The place up to which a verifier knows the feed.

use std::fmt;

use auth_service_records::revocation::StreamId;
use serde::{Serialize, Serializer};

/// An answer starts this much before the cursor, in milliseconds. After a failover, the new primary may lack the latest
/// entries, and so give later entries a place before the cursor.
pub(super) const OVERLAP_MILLIS: u64 = 5_000;

/// A cursor: as text, the place of the latest entry, and a number that tells apart what is known before this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    pub(super) latest: StreamId,
    /// The number of entries in the overlap.
    pub(super) recent: usize,
}

impl Cursor {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (latest, recent) = text.rsplit_once('-')?;
        let is_number = recent.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self { latest: StreamId::parse(latest)?, recent: recent.parse().ok().filter(|_| is_number)? })
    }

    /// Where the overlap starts, in milliseconds.
    pub(super) fn overlap(self) -> u64 {
        self.latest.millis.saturating_sub(OVERLAP_MILLIS)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.latest, self.recent)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
