//! What the hashing threads and their callers share.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use argon2::Params;
use auth_service_records::error::Error;

use crate::{
    hasher::Hasher,
    queue::{Queue, Threads},
};

/// Work for a hashing thread. Its argument is the thread's hasher, or the reason why the job does not run.
pub(crate) type Job = Box<dyn FnOnce(Result<&mut Hasher, Error>) -> Answer + Send>;

/// Tells the caller the outcome. The thread says first that it is free, as the caller may have another job at once.
pub(crate) type Answer = Box<dyn FnOnce()>;

/// The part that never changes, and the lock around the part that does.
pub(crate) struct Shared {
    /// Parameters of new hashes.
    pub(crate) params: Params,
    /// How many threads there are to be.
    pub(crate) threads: usize,
    state: Mutex<State>,
    /// Notified when a job comes, and when the pool closes.
    pub(crate) news: Condvar,
}

/// The part that changes.
pub(crate) struct State {
    /// Jobs that no thread has taken yet.
    pub(crate) queue: Queue<Job>,
    /// How many threads there are.
    pub(crate) threads: Threads,
    /// Whether the threads are to end.
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
        Self { params, threads, state: Mutex::new(state), news: Condvar::new() }
    }

    /// Locks the state. Jobs run without the lock, so nobody waits long, and a job that panics poisons nothing. Where a
    /// request takes the core from a hashing thread that holds the lock, the next caller that needs the lock frees a
    /// core for that thread by waiting.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for news, at most for `limit`. Returns whether the limit has passed.
    pub(crate) fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        limit: Option<Duration>,
    ) -> (MutexGuard<'a, State>, bool) {
        if let Some(limit) = limit {
            let (state, waited) = self.news.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner);
            (state, waited.timed_out())
        } else {
            (self.news.wait(state).unwrap_or_else(PoisonError::into_inner), false)
        }
    }
}
