//! The pool of hashing threads: accepts a job unless the job would end too late.

use std::{
    io,
    sync::{Arc, MutexGuard},
    time::Instant,
};

use argon2::Params;
use auth_service_records::error::Error;
use auth_service_token::Id;
use prometheus_client::registry::Registry;

use crate::{
    estimate::Estimate,
    queue::{Queue, Refusal},
    state::{Job, Shared, State},
    worker::start_missing,
};

/// The maximum number of waiting jobs for each thread. With a deadline of two seconds, this limit matters only if a
/// hash takes less than 2 ms. A job takes up to 1.5 KiB, so the jobs take far less memory than the hashes.
const JOBS_PER_THREAD: usize = 1024;

/// Hashing threads and their queue. The threads end when the pool is dropped.
pub(crate) struct Pool(Arc<Shared>);

impl Pool {
    /// Starts `threads` hashing threads, at least one.
    ///
    /// # Errors
    /// When the operating system provides no thread.
    pub(crate) fn start(params: Params, threads: usize, estimate: Estimate) -> io::Result<Self> {
        let threads = threads.max(1);
        let queue = Queue::new(JOBS_PER_THREAD * threads, estimate);
        // The pool exists before its threads. If a thread cannot start, the drop of the pool ends the threads that have
        // started.
        let pool = Self(Arc::new(Shared::new(params, threads, queue)));
        start_missing(&pool.0, &mut pool.0.lock())?;
        Ok(pool)
    }

    /// Queues a job of `client`. One of the threads runs the job. The job gets [`Error::Overloaded`] instead if its
    /// deadline has passed, or if a job of another client takes its place in a full queue.
    ///
    /// # Errors
    /// Immediately, without a call of the job: [`Error::Overloaded`] if the job would end after its deadline or the
    /// queue is full, [`Error::HashingUnavailable`] if no thread runs.
    pub(crate) fn submit(&self, client: Id, job: Job) -> Result<(), Error> {
        let mut state = self.with_threads()?;
        let threads = state.threads;
        let pushed = state.queue.push(client, job, Instant::now(), threads);
        drop(state);
        let evicted = pushed.map_err(|refusal| self.0.refuse(refusal))?;
        self.0.changed.notify_one();
        if let Some(evicted) = evicted {
            evicted(Err(self.0.refuse(Refusal::Replaced)))();
        }
        Ok(())
    }

    /// Checks whether [`Pool::submit`] would accept a job of `client`.
    ///
    /// # Errors
    /// As [`Pool::submit`].
    pub(crate) fn check_admission(&self, client: Id) -> Result<(), Error> {
        let state = self.with_threads()?;
        state.queue.check_admission(client, state.threads).map_err(|refusal| self.0.refuse(refusal))
    }

    /// The state with at least one running thread.
    fn with_threads(&self) -> Result<MutexGuard<'_, State>, Error> {
        let mut state = self.0.lock();
        if start_missing(&self.0, &mut state).is_err() && state.threads.running == 0 {
            return Err(self.0.refuse(Refusal::Unavailable));
        }
        Ok(state)
    }

    pub(crate) fn register_metrics(&self, registry: &mut Registry) {
        // The registry may outlive the pool.
        let weak = Arc::downgrade(&self.0);
        self.0.metrics.register(registry, move || weak.upgrade().map(|shared| shared.load()));
    }

    /// Whether all threads run. `false` if the operating system provides no replacement for a thread that died. Each
    /// call tries again to replace it.
    pub(crate) fn all_threads_run(&self) -> bool {
        start_missing(&self.0, &mut self.0.lock()).is_ok()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::{Receiver, Sender, channel},
        thread,
        time::Duration,
    };

    use super::*;
    use crate::cost::HashCost;

    const LONG: Duration = Duration::from_secs(3_600);

    fn pool(threads: usize, deadline: Duration, average: Duration) -> Pool {
        let cost = HashCost { memory_kib: 8, iterations: 1, parallelism: 1 };
        Pool::start(cost.params().unwrap(), threads, Estimate::new(average, deadline)).unwrap()
    }

    fn client(name: &str) -> Id {
        Id::digest(name.as_bytes())
    }

    /// A job that sends its name, and whether it ran.
    fn job(name: &'static str, done: &Sender<(&'static str, bool)>) -> Job {
        let done = done.clone();
        Box::new(move |hasher| {
            let ran = hasher.is_ok();
            Box::new(move || done.send((name, ran)).unwrap())
        })
    }

    /// Gives a thread a job that lasts until the sender is dropped.
    fn block(pool: &Pool) -> Sender<()> {
        let (started, start) = channel();
        let (release, released): (_, Receiver<()>) = channel();
        let job: Job = Box::new(move |_| {
            started.send(()).unwrap();
            let _ = released.recv();
            Box::new(|| ())
        });
        pool.submit(client("blocker"), job).unwrap();
        start.recv().unwrap();
        release
    }

    /// Ends one thread, and waits until the pool has noticed.
    fn kill_a_thread(pool: &Pool) {
        let running = pool.0.lock().threads.running;
        pool.submit(client("killer"), Box::new(|_| panic!("the test ends this thread"))).unwrap();
        while pool.0.lock().threads.running == running {
            // Leaves the core to the hashing threads, whose priority is lower.
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_flood_leaves_other_clients_their_turn() {
        let pool = pool(1, LONG, Duration::ZERO);
        let (done, order) = channel();
        let release = block(&pool);
        for _ in 0..100 {
            pool.submit(client("flood"), job("flood", &done)).unwrap();
        }
        pool.submit(client("other"), job("other", &done)).unwrap();
        drop((release, done));
        let order: Vec<_> = order.iter().collect();
        assert_eq!((order.len(), order[1]), (101, ("other", true)));
    }

    #[test]
    fn a_job_that_would_be_late_is_refused_at_once() {
        let pool = pool(2, LONG, LONG);
        let (done, answers) = channel();
        let releases = [block(&pool), block(&pool)];
        assert!(matches!(pool.submit(client("a"), job("late", &done)), Err(Error::Overloaded)));
        drop((releases, done));
        assert_eq!(answers.iter().count(), 0, "a job that is refused is not called");
    }

    #[test]
    fn a_job_whose_deadline_has_passed_does_not_run() {
        let pool = pool(1, Duration::ZERO, Duration::ZERO);
        let (done, answers) = channel();
        pool.submit(client("a"), job("late", &done)).unwrap();
        assert_eq!(answers.recv().unwrap(), ("late", false));
    }

    #[test]
    fn the_threads_end_with_the_pool() {
        let pool = pool(3, LONG, Duration::ZERO);
        let shared = Arc::downgrade(&pool.0);
        drop(pool);
        while shared.strong_count() > 0 {
            // Leaves the core to the hashing threads, whose priority is lower.
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_thread_that_dies_is_replaced() {
        let pool = pool(1, LONG, Duration::ZERO);
        let (done, answers) = channel();
        for _ in 0..3 {
            pool.submit(client("a"), Box::new(|_| panic!("the test ends this thread"))).unwrap();
            pool.submit(client("a"), job("next", &done)).unwrap();
            assert_eq!(answers.recv().unwrap(), ("next", true));
        }
        assert!(pool.all_threads_run());
        assert_eq!(pool.0.lock().threads.running, 1);
    }

    #[test]
    fn a_thread_without_replacement_is_seen_and_replaced_later() {
        let pool = pool(2, LONG, Duration::ZERO);
        let (done, answers) = channel();
        pool.0.lock().refuse_threads = true;
        kill_a_thread(&pool);
        assert!(!pool.all_threads_run());
        pool.submit(client("a"), job("on the other thread", &done)).unwrap();
        assert!(answers.recv().unwrap().1);
        kill_a_thread(&pool);
        assert!(matches!(pool.submit(client("a"), job("none", &done)), Err(Error::HashingUnavailable)));
        assert!(matches!(pool.check_admission(client("a")), Err(Error::HashingUnavailable)));
        pool.0.lock().refuse_threads = false;
        pool.submit(client("a"), job("replaced", &done)).unwrap();
        assert!(answers.recv().unwrap().1);
        assert!(pool.all_threads_run());
    }
}
