//! The writer thread: it carries out queued operations in groups, and answers when the group is on disk.

use std::{
    iter,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use auth_service_records::{
    clock::Clock,
    error::{Error, Outage},
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use redb::Database;
use tokio::sync::oneshot;

use super::{
    boot::{BootTime, LastTime},
    failure::Failure,
    file::File,
    sweep::Sweep,
    tables::Tables,
};

/// The maximum number of operations that wait for the writer.
const QUEUE: usize = 1024;
/// The maximum number of operations that share one commit, and so one flush to the disk.
const COMMIT_GROUP: usize = 256;
/// The interval between two sweeps for expired entries.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Carries out one operation. An error fails the whole group.
type Request = Box<dyn FnOnce(&mut Tables<'_>, u64) -> (Result<(), redb::Error>, Answer) + Send>;

/// Called when the group is on disk. If the group fails, the answer is dropped, and the caller gets an error.
type Answer = Box<dyn FnOnce() + Send>;

/// A handle to the thread. Its drop waits until all queued operations are done.
pub(super) struct Writer {
    /// `None` only while dropping.
    queue: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    file: Arc<File>,
}

impl Writer {
    pub(super) fn start(file: Arc<File>, clock: Clock) -> std::io::Result<Self> {
        let (queue, requests) = bounded(QUEUE);
        let work = Work { file: Arc::clone(&file), clock, sweep: Sweep::default() };
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(move || work.run(&requests))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), file })
    }

    /// Whether writes can succeed: the disk has not failed, and the thread runs.
    pub(super) fn writes(&self) -> bool {
        !self.file.has_failed() && self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Runs `operation`, which gets the current time in milliseconds since the Unix epoch. Returns when its changes are
    /// on disk. An operation that returns [`Failure::Refused`] must not have written anything.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Tables<'_>, u64) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let request: Request = Box::new(move |tables, now| {
            let outcome = match operation(tables, now) {
                Ok(value) => Ok(value),
                Err(Failure::Refused(error)) => Err(error),
                Err(Failure::Storage(error)) => return (Err(error), Box::new(move || drop(reply))),
            };
            // The write stands even if the caller has stopped waiting.
            (Ok(()), Box::new(move || drop(reply.send(outcome))))
        });
        let queue = self.queue.as_ref().ok_or(Error::Unavailable(Outage::Unreachable))?;
        queue.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => Error::Overloaded,
            TrySendError::Disconnected(_) => Error::Unavailable(Outage::Unreachable),
        })?;
        answer.await.map_err(|_| Error::Unavailable(Outage::DiskFailed))?
    }
}

/// Closes the file properly, so that the next start has nothing to repair.
impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // The panic hook has already reported a panic of the thread.
            let _ = thread.join();
        }
    }
}

struct Work {
    file: Arc<File>,
    clock: Clock,
    sweep: Sweep,
}

impl Work {
    /// Ends when the store is dropped and the queue is empty.
    fn run(mut self, requests: &Receiver<Request>) {
        let mut swept = Instant::now();
        let mut anything_to_sweep = true;
        loop {
            let first = if anything_to_sweep {
                requests.recv_timeout(SWEEP_EVERY)
            } else {
                requests.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match first {
                Ok(first) => {
                    self.carry_out(iter::once(first).chain(requests.try_iter()).take(COMMIT_GROUP));
                    anything_to_sweep = true;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if swept.elapsed() >= SWEEP_EVERY {
                anything_to_sweep = self.tidy();
                swept = Instant::now();
            }
        }
    }

    fn carry_out(&self, group: impl Iterator<Item = Request>) {
        let (mut group, mut answers) = (group.collect::<Vec<_>>().into_iter(), Vec::new());
        match self.file.write(|database| self.commit(database, &mut group, &mut answers)) {
            Ok(()) => answers.into_iter().for_each(|answer| answer()),
            // Records the failure before `answers` and the rest of `group` are dropped, so that the store is not ready
            // when a caller learns of the failure.
            Err(error) => self.file.fail(&error),
        }
    }

    /// Carries out the group in one transaction. After an error, no operation of the group has happened.
    fn commit(
        &self,
        database: &Database,
        group: &mut impl Iterator<Item = Request>,
        answers: &mut Vec<Answer>,
    ) -> Result<(), redb::Error> {
        let now = self.clock.now_millis();
        transact(database, now, |tables| {
            for request in group {
                let (done, answer) = request(tables, now);
                answers.push(answer);
                done?;
            }
            Ok(())
        })
    }

    /// Reopens the file if it has failed, and sweeps. Returns `false` if nothing is left to do: no entry could expire,
    /// and the log has said that the last failure is over.
    fn tidy(&mut self) -> bool {
        let swept = self.file.reopen_if_failed().and_then(|()| {
            let now = self.clock.now_millis();
            self.file.write(|database| transact(database, now, |tables| Ok(self.sweep.run(tables, now)?)))
        });
        let anything_left = swept.unwrap_or_else(|error| {
            self.file.fail(&error);
            true
        });
        let is_well = self.file.is_well();
        anything_left || !is_well
    }
}

/// Runs `work` in a transaction. If `work` changed anything, records the time `now` too, in milliseconds since the Unix
/// epoch, and commits the transaction.
fn transact<T>(
    database: &Database,
    now: u64,
    work: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error>,
) -> Result<T, redb::Error> {
    let transaction = database.begin_write()?;
    let (done, changed) = {
        let mut tables = Tables::open(&transaction)?;
        let done = work(&mut tables)?;
        if tables.changed {
            tables.put_time(&LastTime { millis: now, machine: BootTime::now() })?;
        }
        (done, tables.changed)
    };
    if changed {
        transaction.commit()?
    } else {
        transaction.abort()?
    }
    Ok(done)
}
