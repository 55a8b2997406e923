//! The shared state of the hashing threads and their callers.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use argon2::Params;
use auth_service_records::error::Error;

use crate::{
    hasher::Hasher,
    metrics::{Load, Metrics},
    queue::{Queue, Refusal, Threads},
};

/// Work for a hashing thread. Its argument is the thread's hasher, or the reason why the job does not run.
pub(crate) type Job = Box<dyn FnOnce(Result<&mut Hasher, Error>) -> Answer + Send>;

/// Sends the outcome to the caller. The thread marks itself idle first, because the caller may submit another job
/// immediately.
pub(crate) type Answer = Box<dyn FnOnce()>;

/// The immutable part, and the lock around the mutable part.
pub(crate) struct Shared {
    /// Parameters of new hashes.
    pub(crate) params: Params,
    /// The target number of threads.
    pub(crate) threads: usize,
    pub(crate) metrics: Metrics,
    state: Mutex<State>,
    /// Notified when a job arrives, and when the pool closes.
    pub(crate) changed: Condvar,
}

/// The mutable part.
pub(crate) struct State {
    /// Jobs that no thread has taken yet.
    pub(crate) queue: Queue<Job>,
    /// The threads that run now.
    pub(crate) threads: Threads,
    /// Whether the threads must end.
    pub(crate) closed: bool,
    /// Makes every start of a thread fail.
    #[cfg(test)]
    pub(crate) refuse_threads: bool,
}

impl Shared {
    /// No thread runs yet.
    pub(crate) fn new(params: Params, threads: usize, queue: Queue<Job>) -> Self {
        let state = State {
            queue,
            threads: Threads { running: 0, idle: 0 },
            closed: false,
            #[cfg(test)]
            refuse_threads: false,
        };
        Self { params, threads, metrics: Metrics::default(), state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(crate) fn load(&self) -> Load {
        let state = self.lock();
        Load { waiting: state.queue.waiting(), threads: state.threads }
    }

    /// Counts a job that does not run. Returns the error for its caller.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Error {
        self.metrics.refused(refusal);
        refusal.error()
    }

    /// Locks the state. Jobs run without the lock, so waits are short, and a job that panics does not poison the lock.
    /// If a request preempts a hashing thread that holds the lock, the next request that needs the lock blocks, and so
    /// frees a core for the hashing thread.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a notification, for at most `limit`. The flag tells whether the limit has passed.
    pub(crate) fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        limit: Option<Duration>,
    ) -> (MutexGuard<'a, State>, bool) {
        if let Some(limit) = limit {
            let (state, waited) = self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner);
            (state, waited.timed_out())
        } else {
            (self.changed.wait(state).unwrap_or_else(PoisonError::into_inner), false)
        }
    }
}
