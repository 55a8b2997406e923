//! The time since the Unix epoch, and as people read it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far two machines' clocks may be apart, in seconds.
pub const LEEWAY_SECONDS: u64 = 5;

/// Now, in seconds.
#[must_use]
pub fn unix_seconds() -> u64 {
    unix_millis() / 1_000
}

/// Now, in milliseconds.
#[must_use]
pub fn unix_millis() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// As RFC 3339 writes it, in UTC.
#[must_use]
pub fn rfc3339(unix_seconds: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(unix_seconds)).to_string()
}
