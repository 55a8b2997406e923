//! The average duration of a job, and whether one more job would end too late.

use std::time::Duration;

/// The weight of a new duration in the average is one eighth, as for round-trip times in TCP (RFC 6298 section 2).
const WEIGHT: u32 = 8;

/// The average duration of a job, and the deadline of a job.
#[derive(Clone)]
pub(crate) struct Estimate {
    /// The moving average of the durations.
    average: Duration,
    /// The maximum time from the arrival of a job to its end.
    deadline: Duration,
}

impl Estimate {
    /// An estimate for jobs that must end within `deadline` after their arrival. `average` is the initial average.
    pub(crate) fn new(average: Duration, deadline: Duration) -> Self {
        Self { average, deadline }
    }

    /// Adds a duration to the average. The duration runs from the moment when a thread takes the job to the end of the
    /// job.
    pub(crate) fn record(&mut self, took: Duration) {
        // Caps the duration, because one very long job or a suspended machine must not cause refusals for long.
        self.average = self.average - self.average / WEIGHT + took.min(self.deadline) / WEIGHT;
    }

    /// Whether a job ends before its deadline if `before` jobs run first on `threads` threads. `threads` is at least 1.
    /// A job for a free thread always counts as in time, so that the average can fall after it has exceeded the
    /// deadline.
    pub(crate) fn is_in_time(&self, before: usize, threads: usize) -> bool {
        let rounds = u32::try_from(before / threads).unwrap_or(u32::MAX);
        rounds == 0 || self.average.saturating_mul(rounds.saturating_add(1)) <= self.deadline
    }

    /// The maximum time from the arrival of a job to its end.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: Duration = Duration::from_millis(10);
    const DEADLINE: Duration = Duration::from_millis(100);

    /// The maximum number of jobs before a job that is in time.
    fn limit(estimate: &Estimate, threads: usize) -> usize {
        (0..).take_while(|before| estimate.is_in_time(*before, threads)).count() - 1
    }

    #[test]
    fn each_of_any_number_of_threads_ends_ten_jobs_of_a_tenth_of_the_deadline() {
        let estimate = Estimate::new(HASH, DEADLINE);
        for threads in [1, 2, 7, 64] {
            assert_eq!(limit(&estimate, threads), 10 * threads - 1, "{threads}");
        }
    }

    #[test]
    fn the_average_follows_the_durations() {
        let mut estimate = Estimate::new(HASH, DEADLINE);
        for _ in 0..100 {
            estimate.record(HASH * 3);
        }
        assert_eq!(limit(&estimate, 1), 2);
        for _ in 0..100 {
            estimate.record(HASH / 2);
        }
        // The average approaches the duration from above.
        assert!((18..20).contains(&limit(&estimate, 1)));
    }

    #[test]
    fn a_free_thread_takes_a_job_however_long_jobs_take() {
        assert_eq!(limit(&Estimate::new(DEADLINE * 100, DEADLINE), 4), 3);
    }

    #[test]
    fn one_endless_job_does_not_have_others_refused() {
        let mut estimate = Estimate::new(HASH, DEADLINE);
        estimate.record(Duration::MAX);
        assert_eq!(limit(&estimate, 1), 3);
    }
}
