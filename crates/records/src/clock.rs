//! The clock that all replicas share, and times in a form for people.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The time of the store. Between two readings of the store, the monotonic clock of this machine advances the time.
///
/// The wall clock of this machine sets this clock once, at the start, for a store that has no clock of its own. A later
/// step of the wall clock has no effect. All clones share one clock.
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
    /// A clock that shows the time of this machine until [`Clock::set`] is called.
    #[must_use]
    pub fn new() -> Self {
        let origin_micros = AtomicU64::new(micros(machine_time()));
        Self(Arc::new(State { start: Instant::now(), origin_micros }))
    }

    /// Sets the clock: the store said `time_micros` (microseconds since the Unix epoch) at the moment `at`.
    pub fn set(&self, time_micros: u64, at: Instant) {
        let since_start = micros(at.saturating_duration_since(self.0.start));
        self.0.origin_micros.store(time_micros.saturating_sub(since_start), Ordering::Relaxed);
    }

    /// Now, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_millis(&self) -> u64 {
        self.now_micros() / 1_000
    }

    /// Now, in seconds since the Unix epoch.
    #[must_use]
    pub fn now_seconds(&self) -> u64 {
        self.now_micros() / 1_000_000
    }

    /// How far the wall clock of this machine is from this clock, and whether it is ahead.
    #[must_use]
    pub fn machine_offset(&self) -> (Duration, bool) {
        let (machine, store) = (micros(machine_time()), self.now_micros());
        (Duration::from_micros(machine.abs_diff(store)), machine > store)
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

/// Formats a time by RFC 3339, in UTC.
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
        assert!(clock.machine_offset().1);
        assert!(clock.clone().now_millis() >= first);
    }
}
