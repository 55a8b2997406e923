//! One hashing thread, and the replacement of a thread that dies.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crate::{
    hasher::Hasher,
    priority::run_in_idle_time,
    queue::{Queued, Refusal},
    state::{Job, Shared, State},
};

/// A thread without work returns its memory block to the operating system after this time.
const IDLE: Duration = Duration::from_secs(2);

/// Starts the threads that are missing.
///
/// # Errors
/// When the operating system provides no thread.
pub(crate) fn start_missing(shared: &Arc<Shared>, state: &mut State) -> io::Result<()> {
    while state.threads.running < shared.threads {
        #[cfg(test)]
        if state.refuse_threads {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let shared = Arc::clone(shared);
        thread::Builder::new().name("hash".to_owned()).spawn(move || Worker::new(shared).run())?;
        state.threads.running += 1;
        state.threads.idle += 1;
    }
    Ok(())
}

/// The data of a hashing thread. Its drop counts the thread as ended, and replaces the thread after a panic.
struct Worker {
    shared: Arc<Shared>,
    hasher: Hasher,
}

impl Worker {
    fn new(shared: Arc<Shared>) -> Self {
        let hasher = Hasher::new(shared.params.clone());
        Self { shared, hasher }
    }

    fn run(mut self) {
        run_in_idle_time();
        while let Some(Queued { job, arrival, deadline }) = self.next() {
            let start = Instant::now();
            self.shared.metrics.waited(start - arrival);
            if start >= deadline {
                self.shared.lock().threads.idle += 1;
                job(Err(self.shared.refuse(Refusal::Expired)))();
                continue;
            }
            let answer = job(Ok(&mut self.hasher));
            self.finish(start.elapsed());
            answer();
        }
    }

    fn finish(&self, took: Duration) {
        self.shared.metrics.ran(took);
        let mut state = self.shared.lock();
        state.threads.idle += 1;
        state.queue.estimate.record(took);
    }

    /// Waits for a job. `None` when the pool closes.
    fn next(&mut self) -> Option<Queued<Job>> {
        let Self { shared, hasher } = self;
        let mut state = shared.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(queued) = state.queue.take() {
                state.threads.idle -= 1;
                return Some(queued);
            }
            // A thread without a memory block needs no timeout, because it has nothing to return.
            let (woken, idle) = shared.wait(state, hasher.holds_memory().then_some(IDLE));
            state = if idle {
                // The return of the memory takes a while, and requests must not wait for the lock.
                drop(woken);
                hasher.release_memory();
                shared.lock()
            } else {
                woken
            };
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.threads.running -= 1;
        if !thread::panicking() || state.closed {
            return;
        }
        let replaced = start_missing(&self.shared, &mut state);
        drop(state);
        match replaced {
            Ok(()) => tracing::error!("a hashing thread panicked and was replaced"),
            Err(error) => tracing::error!(%error, "a hashing thread panicked and cannot be replaced yet"),
        }
    }
}
