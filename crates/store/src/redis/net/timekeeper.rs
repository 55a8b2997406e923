//! Sets the clock of the process by the `TIME` of Redis.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use auth_service_records::clock::Clock;
use redis::aio::ConnectionLike;

/// The maximum drift between the clocks of two machines, in parts per million. NTP slews a clock by at most this rate.
const DRIFT_PPM: u32 = 500;
/// The resolution of the clock.
const RESOLUTION: Duration = Duration::from_millis(1);

/// Sets one clock by the answers to `TIME`. All runtimes share the timekeeper, so that the most precise of their
/// answers counts.
pub(in crate::redis) struct Timekeeper {
    clock: Clock,
    used: Mutex<Option<Used>>,
}

/// The answer that last set the clock.
struct Used {
    /// Half of the round trip, because the server read its clock at an unknown moment of the round trip.
    error: Duration,
    at: Instant,
}

impl Used {
    fn error_at(&self, now: Instant) -> Duration {
        self.error + now.saturating_duration_since(self.at) * DRIFT_PPM / 1_000_000
    }
}

impl Timekeeper {
    pub(in crate::redis) fn new(clock: Clock) -> Self {
        Self { clock, used: Mutex::new(None) }
    }

    /// Asks a server for the time. Without an answer, the clock continues by itself.
    pub(super) async fn ask(&self, connection: &mut impl ConnectionLike) {
        let asked = Instant::now();
        let Ok((seconds, micros)) = redis::cmd("TIME").query_async::<(u64, u64)>(connection).await else { return };
        self.take(Duration::from_secs(seconds) + Duration::from_micros(micros), asked, Instant::now());
    }

    /// Sets the clock if the answer is more precise than the clock, or if the two contradict each other. They do so
    /// after a step of the server's clock, or when another server answers.
    fn take(&self, time: Duration, asked: Instant, answered: Instant) {
        let error = (answered - asked) / 2;
        let at = asked + error;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let is_needed = used.as_ref().is_none_or(|used| {
            let shown = Duration::from_millis(self.clock.now_millis()).saturating_sub(at.elapsed());
            let error_now = used.error_at(at);
            error <= error_now || shown.abs_diff(time) > error + error_now + RESOLUTION
        });
        if is_needed {
            self.clock.set(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), at);
            *used = Some(Used { error, at });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const FAST: Duration = Duration::from_micros(100);

    /// Whether the clock shows `time` plus at most a moment for the test itself.
    fn shows(clock: &Clock, time: Duration) -> bool {
        let shown = Duration::from_millis(clock.now_millis());
        (time - 2 * RESOLUTION..time + SECOND / 5).contains(&shown)
    }

    #[test]
    fn a_slow_answer_replaces_a_fast_one_only_if_the_server_was_set() {
        let (clock, start, time) = (Clock::new(), Instant::now(), 1_000_000 * SECOND);
        let timekeeper = Timekeeper::new(clock.clone());
        timekeeper.take(time, start, start + FAST);
        assert!(shows(&clock, time), "{clock:?}");
        timekeeper.take(time + SECOND / 3, start, start + SECOND);
        assert!(shows(&clock, time), "{clock:?}");
        timekeeper.take(2 * time, start, start + SECOND);
        assert!(shows(&clock, 2 * time - SECOND / 2), "{clock:?}");
    }

    #[test]
    fn a_fast_answer_replaces_a_slow_one() {
        let (clock, start, time) = (Clock::new(), Instant::now(), 1_000_000 * SECOND);
        let timekeeper = Timekeeper::new(clock.clone());
        timekeeper.take(time, start, start + SECOND);
        timekeeper.take(time, start, start + FAST);
        assert!(shows(&clock, time), "{clock:?}");
    }

    #[test]
    fn an_answer_is_less_precise_the_older_it_is() {
        let used = Used { error: FAST, at: Instant::now() };
        assert_eq!(used.error_at(used.at), FAST);
        assert_eq!(used.error_at(used.at + 100 * SECOND), FAST + SECOND / 20);
    }
}
