//! The clock that all replicas share, and the RFC 3339 format of times.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The clock of the store. Between two readings of the store's time, the monotonic clock of this machine advances the
/// clock.
///
/// The wall clock of this machine sets the initial time, because the embedded store has no clock of its own. Later
/// steps of the wall clock have no effect. All clones share one clock.
#[derive(Clone)]
pub struct Clock(Arc<State>);

struct State {
    /// The zero of the monotonic clock.
    start: Instant,
    /// The time at `start`, in microseconds since the Unix epoch.
    origin_micros: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that starts with the time of this machine. [`Clock::set`] corrects the clock.
    #[must_use]
    pub fn new() -> Self {
        let origin_micros = AtomicU64::new(micros(machine_time()));
        Self(Arc::new(State { start: Instant::now(), origin_micros }))
    }

    /// Sets the clock. The time of the store was `time_micros`, in microseconds since the Unix epoch, at the moment
    /// `at`.
    pub fn set(&self, time_micros: u64, at: Instant) {
        let since_start = micros(at.saturating_duration_since(self.0.start));
        self.0.origin_micros.store(time_micros.saturating_sub(since_start), Ordering::Relaxed);
    }

    /// The current time, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_millis(&self) -> u64 {
        self.now_micros() / 1_000
    }

    /// The current time, in seconds since the Unix epoch.
    #[must_use]
    pub fn now_seconds(&self) -> u64 {
        self.now_micros() / 1_000_000
    }

    fn now_micros(&self) -> u64 {
        self.0.origin_micros.load(Ordering::Relaxed) + micros(self.0.start.elapsed())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now_millis()).finish()
    }
}

fn machine_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Formats seconds since the Unix epoch as an RFC 3339 time in UTC.
#[must_use]
pub fn rfc3339(unix_seconds: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(unix_seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_the_time_that_the_store_said_and_goes_on() {
        let clock = Clock::new();
        clock.set(1_000_000_000, Instant::now());
        let first = clock.now_millis();
        assert!((1_000_000..1_001_000).contains(&first), "{first}");
        assert!(clock.clone().now_millis() >= first);
    }
}
