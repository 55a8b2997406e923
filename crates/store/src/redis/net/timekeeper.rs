//! Sets the clock of the process by the `TIME` of Redis.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use auth_service_records::clock::Clock;
use tokio::{task::AbortHandle, time::sleep};

use super::{
    link::Link,
    request::{Mode, Request},
};

/// How often Redis is asked for the time.
const INTERVAL: Duration = Duration::from_millis(500);
/// A slower answer is used only if no faster answer came for this long.
const KEPT: Duration = Duration::from_secs(10);
/// A difference beyond the round trip that no network explains. The clock of the server was set, or another server
/// answers.
const STEP: Duration = Duration::from_millis(50);

/// Sets a clock by the time of one server, until the timekeeper is dropped.
pub(in crate::redis) struct Timekeeper(AbortHandle);

impl Timekeeper {
    /// Sets the clock for the first time, if the server answers, and continues in the background.
    pub(in crate::redis) async fn start(link: Arc<Link>, clock: Clock) -> Self {
        let mut samples = Samples::new(clock);
        samples.ask(&link).await;
        let keep = async move {
            loop {
                sleep(INTERVAL).await;
                samples.ask(&link).await;
            }
        };
        Self(tokio::spawn(keep).abort_handle())
    }
}

impl Drop for Timekeeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The answers to `TIME`. A slow answer is imprecise, so the fastest recent answer decides.
pub(super) struct Samples {
    clock: Clock,
    /// The round trip of the answer in use, and when the answer came.
    best: Option<(Duration, Instant)>,
}

impl Samples {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, best: None }
    }

    /// Asks a server for the time. Without an answer the clock runs on by itself.
    pub(super) async fn ask(&mut self, link: &Link) {
        let asked = Instant::now();
        let Ok(answer) = link.run(&Request::command("TIME"), Mode::Shared, false).await else { return };
        let Ok((seconds, micros)) = redis::from_redis_value::<(u64, u64)>(answer) else { return };
        self.take(seconds * 1_000_000 + micros, asked, Instant::now());
    }

    fn take(&mut self, time_micros: u64, asked: Instant, answered: Instant) {
        let took = answered - asked;
        let is_better = self.best.is_none_or(|(best, at)| took <= best || answered - at > KEPT);
        let shown = Duration::from_millis(self.clock.now_millis());
        let is_step = shown.abs_diff(Duration::from_micros(time_micros)) > took + STEP;
        if is_better || is_step {
            self.clock.set(time_micros, asked + took / 2);
            self.best = Some((took, answered));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_slow_answer_replaces_a_fast_one_only_if_the_server_was_set() {
        let clock = Clock::new();
        let mut samples = Samples::new(clock.clone());
        let start = Instant::now();
        samples.take(1_000_000_000_000, start, start + Duration::from_micros(100));
        samples.take(1_000_000_300_000, start, start + SECOND);
        let shown = clock.now_millis();
        assert!((999_999_999..1_000_000_250).contains(&shown), "{shown}");
        samples.take(2_000_000_000_000, start, start + SECOND);
        assert!(clock.now_millis() >= 1_999_999_000);
    }
}
