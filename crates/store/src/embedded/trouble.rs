//! Says in the log why the file cannot be used, and how long that lasted. The requests that fail meanwhile add no line.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The time without a failure after which the trouble is over. While a disk is nearly full, some writes succeed.
const QUIET: Duration = Duration::from_secs(2);

/// The trouble with the file, if there is one.
#[derive(Default)]
pub(super) struct Trouble(Mutex<Option<Episode>>);

/// A trouble from its start to its end.
struct Episode {
    since: Instant,
    last_seen: Instant,
    reason: String,
}

impl Trouble {
    /// Logs a line if the trouble is new, or has another reason than before.
    pub(super) fn begin(&self, error: &redb::Error) {
        let (now, reason) = (Instant::now(), error.to_string());
        let mut open = self.lock();
        let Some(episode) = open.as_mut() else {
            tracing::error!("the embedded store failed: {reason}; opening its file again");
            *open = Some(Episode { since: now, last_seen: now, reason });
            return;
        };
        episode.last_seen = now;
        // redb answers every operation so until the file is open again, whatever the reason is.
        if !matches!(error, redb::Error::PreviousIo) && episode.reason != reason {
            tracing::error!("the embedded store still fails, now: {reason}");
            episode.reason = reason;
        }
    }

    /// Logs the end of the trouble, unless an operation failed a moment ago. Returns whether there is no trouble.
    pub(super) fn end_if_quiet(&self) -> bool {
        let mut open = self.lock();
        let Some(episode) = open.take_if(|episode| episode.last_seen.elapsed() >= QUIET) else {
            return open.is_none();
        };
        let seconds = episode.since.elapsed().as_secs_f64();
        tracing::info!("the embedded store can be used again, after {seconds:.1} s");
        true
    }

    /// Whether the log has reported a trouble, and not yet its end.
    pub(super) fn is_open(&self) -> bool {
        self.lock().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Episode>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_trouble_keeps_its_reason_and_ends_when_no_operation_has_failed_for_a_while() {
        let trouble = Trouble::default();
        assert!(trouble.end_if_quiet(), "there was none");
        trouble.begin(&redb::Error::Io(io::Error::other("full")));
        trouble.begin(&redb::Error::PreviousIo);
        let reason = trouble.lock().as_ref().map(|episode| episode.reason.clone());
        assert!(reason.is_some_and(|reason| reason.ends_with("full")));
        assert!(!trouble.end_if_quiet(), "an operation has just failed");
        trouble.lock().as_mut().unwrap().last_seen -= QUIET;
        assert!(trouble.is_open() && trouble.end_if_quiet() && !trouble.is_open());
    }
}
