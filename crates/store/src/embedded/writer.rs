//! The one thread that writes: it carries out what is queued in groups, and answers once the group is on disk.

use std::{
    collections::VecDeque,
    iter,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use redb::Database;
use tokio::sync::oneshot;

use super::{
    file::File,
    storage_failure,
    tables::{SessionKey, Tables},
};
use crate::{
    clock::unix_millis,
    error::{Error, Outage},
    session::SessionPolicy,
};

/// Operations that may wait for the writer.
const QUEUE: usize = 1024;
/// Operations that share one commit, and so one flush to the disk.
const COMMIT_GROUP: usize = 256;
/// How often expired entries are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Carries out one operation: whether it changed anything, and the way to answer it.
type Request = Box<dyn FnOnce(&mut Tables<'_>, u64) -> (Result<Changed, redb::Error>, Answer) + Send>;

/// Called once the change is on disk; dropped if it is not, and then the caller hears of the failure.
type Answer = Box<dyn FnOnce() + Send>;

/// Whether an operation wrote anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    Yes,
    No,
}

/// The way to the thread; dropping it waits until all that was queued is done.
pub(super) struct Writer {
    /// `None` only while dropping.
    queue: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    file: Arc<File>,
}

impl Writer {
    pub(super) fn start(file: Arc<File>, policy: SessionPolicy) -> std::io::Result<Self> {
        let (queue, requests) = bounded(QUEUE);
        let work = Work { file: Arc::clone(&file), policy, sweep_from: None };
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(move || work.run(&requests))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), file })
    }

    /// Whether writes can succeed: the disk does not fail, and the thread runs.
    pub(super) fn writes(&self) -> bool {
        !self.file.has_failed() && self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Runs `operation` with the time in milliseconds; its answer comes when its change is on disk.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Tables<'_>, u64) -> Result<(Changed, T), redb::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let request: Request = Box::new(move |tables, now| match operation(tables, now) {
            // Nobody may be waiting any more: the write stands all the same.
            Ok((changed, value)) => (Ok(changed), Box::new(move || drop(reply.send(value)))),
            Err(error) => (Err(error), Box::new(move || drop(reply))),
        });
        let queue = self.queue.as_ref().ok_or(Error::Unavailable(Outage::Unreachable))?;
        queue.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => Error::Overloaded,
            TrySendError::Disconnected(_) => Error::Unavailable(Outage::Unreachable),
        })?;
        answer.await.map_err(|_| Error::Unavailable(Outage::Refused))
    }
}

/// So that the file is closed in order, and the next start has nothing to repair.
impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

struct Work {
    file: Arc<File>,
    policy: SessionPolicy,
    /// Where the next sweep goes on; `None` at the start of the table.
    sweep_from: Option<SessionKey>,
}

impl Work {
    /// Ends when the store is dropped, after all that was queued.
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
                    let group = iter::once(first).chain(requests.try_iter()).take(COMMIT_GROUP);
                    let (mut group, mut answers) = (group.collect(), Vec::new());
                    match self.file.write(|database| self.commit(database, &mut group, &mut answers)) {
                        Ok(()) => answers.into_iter().for_each(|answer| answer()),
                        // Known before the callers hear of it: from then on the store is not ready.
                        Err(error) => self.fail(&error),
                    }
                    anything_to_sweep = true;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if swept.elapsed() >= SWEEP_EVERY {
                let swept_all = self.file.open_anew_if_failed().and_then(|()| self.sweep());
                anything_to_sweep = swept_all.unwrap_or_else(|error| {
                    self.fail(&error);
                    true
                });
                swept = Instant::now();
            }
        }
    }

    /// Carries out the group in one transaction. On an error nothing of it has happened.
    fn commit(
        &self,
        database: &Database,
        group: &mut VecDeque<Request>,
        answers: &mut Vec<Answer>,
    ) -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        let mut group_changed = Changed::No;
        {
            let mut tables = Tables::open(&transaction, self.policy)?;
            let now = unix_millis();
            while let Some(request) = group.pop_front() {
                let (changed, answer) = request(&mut tables, now);
                answers.push(answer);
                if changed? == Changed::Yes {
                    group_changed = Changed::Yes;
                }
            }
        }
        if group_changed == Changed::Yes { Ok(transaction.commit()?) } else { Ok(transaction.abort()?) }
    }

    fn fail(&self, error: &redb::Error) {
        storage_failure(error);
        self.file.fail();
    }

    /// Removes some of what has expired; `false` when no entry is left that could expire.
    fn sweep(&mut self) -> Result<bool, redb::Error> {
        let (next, any_left) = self.file.write(|database| {
            let transaction = database.begin_write()?;
            let (changed, next, any_left) =
                Tables::open(&transaction, self.policy)?.sweep(self.sweep_from, unix_millis())?;
            if changed == Changed::Yes {
                transaction.commit()?;
            } else {
                transaction.abort()?;
            }
            Ok((next, any_left))
        })?;
        self.sweep_from = next;
        Ok(any_left)
    }
}
