//! The embedded store: one redb file, one writer thread that commits in groups, reads on snapshots.
//!
//! An operation is answered after the commit that holds it has reached the disk, so a crash loses nothing acknowledged.
//! After a failure of the disk (a full one, say) the writer opens the file anew until it can be used again.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition};
use tokio::sync::oneshot;

use super::{OpenError, StoredUser, decode_profile, decode_user, encode_user};
use crate::{
    error::{Error, Outage},
    id::Id,
    session::{Lifetimes, NewSession},
    user::{Profile, User},
};

/// User tag to record.
const USERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("users");
/// User tag to epoch and its end.
const EPOCHS: TableDefinition<'_, &str, (&str, u64)> = TableDefinition::new("epochs");
/// User tag and session id to the session's epoch, and the ends of its access and its refresh entry.
const SESSIONS: TableDefinition<'_, (&str, &str), (&str, u64, u64)> = TableDefinition::new("sessions");

/// Operations that may wait for the writer.
const QUEUE: usize = 1024;
/// Operations that share one commit, and so one flush to the disk.
const COMMIT_GROUP: usize = 256;
/// How often expired entries are looked for, how many are looked at, and how many are removed at the most.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
const SWEEP_LOOK: usize = 4_096;
const SWEEP_REMOVE: usize = 1_000;
/// Of pages, in bytes.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// The store of one data directory, which no other process can open meanwhile.
pub struct Embedded {
    directory: PathBuf,
    file: Arc<File>,
    /// `None` only while dropping.
    queue: Option<Sender<Request>>,
    writer: Option<JoinHandle<()>>,
}

/// The database file, which only the writer opens and closes.
struct File {
    path: PathBuf,
    /// `None` only while it is opened anew.
    database: RwLock<Option<Database>>,
    /// Since the disk failed; redb then refuses everything until the file has been opened anew.
    failed: AtomicBool,
}

enum Write {
    CreateUser { tag: Id, record: Vec<u8> },
    DeleteUser { tag: Id },
    OpenSession { tag: Id, seen: Vec<u8>, upgraded: Option<Vec<u8>>, session: NewSession },
    Refresh { tag: Id, sid: Id },
    RemoveTokens { tag: Id },
}

struct Request {
    write: Write,
    reply: oneshot::Sender<Result<bool, Error>>,
}

impl Embedded {
    pub(super) fn open(directory: &Path, lifetimes: Lifetimes) -> Result<Self, OpenError> {
        prepare_directory(directory)?;
        let path = directory.join("store.redb");
        let database = open_database(&path).map_err(|error| open_error(directory, &error))?;
        let file = Arc::new(File { path, database: RwLock::new(Some(database)), failed: AtomicBool::new(false) });
        let (queue, requests) = bounded(QUEUE);
        let writer = Writer { file: Arc::clone(&file), lifetimes, sweep_from: None };
        let writer = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(&requests))
            .map_err(|error| OpenError::in_directory(directory, &error))?;
        let directory = directory.to_owned();
        Ok(Self { directory, file, queue: Some(queue), writer: Some(writer) })
    }

    /// The data directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) async fn create_user(&self, tag: Id, user: &User) -> Result<bool, Error> {
        self.write(Write::CreateUser { tag, record: encode_user(user)? }).await
    }

    pub(super) fn find_user(&self, tag: Id) -> Result<Option<StoredUser>, Error> {
        let record =
            self.read(|snapshot| Ok(snapshot.open_table(USERS)?.get(tag.as_str())?.map(|r| r.value().to_vec())))?;
        record.map(decode_user).transpose()
    }

    pub(super) async fn delete_user(&self, tag: Id) -> Result<bool, Error> {
        self.write(Write::DeleteUser { tag }).await
    }

    pub(super) async fn open_session(
        &self,
        tag: Id,
        seen: &StoredUser,
        upgraded: Option<&User>,
        session: NewSession,
    ) -> Result<bool, Error> {
        let upgraded = upgraded.map(encode_user).transpose()?;
        self.write(Write::OpenSession { tag, seen: seen.revision.clone(), upgraded, session }).await
    }

    pub(super) fn check_access(&self, tag: Id, sid: Id) -> Result<bool, Error> {
        self.read(|snapshot| access_lives(snapshot, tag, sid))
    }

    pub(super) fn profile(&self, tag: Id, sid: Id) -> Result<Option<Profile>, Error> {
        self.read(|snapshot| {
            if !access_lives(snapshot, tag, sid)? {
                return Ok(Ok(None));
            }
            let users = snapshot.open_table(USERS)?;
            let record = users.get(tag.as_str())?;
            Ok(record.ok_or(Error::UserNotFound).and_then(|record| decode_profile(record.value())).map(Some))
        })?
    }

    pub(super) async fn refresh(&self, tag: Id, sid: Id) -> Result<bool, Error> {
        // A snapshot tells most dead tokens without waiting for a commit; the writer decides about the others.
        if !self.read(|snapshot| session_lives(snapshot, tag, sid, |(_, _, refresh_end)| refresh_end))? {
            return Ok(false);
        }
        self.write(Write::Refresh { tag, sid }).await
    }

    pub(super) async fn remove_tokens(&self, tag: Id) -> Result<bool, Error> {
        self.write(Write::RemoveTokens { tag }).await
    }

    pub(super) fn ready(&self) -> Result<(), Error> {
        let writes = self.writer.as_ref().is_some_and(|writer| !writer.is_finished());
        if self.file.failed.load(Ordering::Relaxed) || !writes {
            Err(Error::Unavailable(Outage::Refused))
        } else {
            Ok(())
        }
    }

    async fn write(&self, write: Write) -> Result<bool, Error> {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(Error::Unavailable(Outage::Unreachable))?;
        queue.try_send(Request { write, reply }).map_err(|error| match error {
            TrySendError::Full(_) => Error::Overloaded,
            TrySendError::Disconnected(_) => Error::Unavailable(Outage::Unreachable),
        })?;
        answer.await.map_err(|_| Error::Unavailable(Outage::Unreachable))?
    }

    fn read<T>(&self, look: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>) -> Result<T, Error> {
        self.file.with(|database| look(&database.begin_read()?)).map_err(|error| storage_failure(&error))
    }
}

/// Waits for the writer, so that the file is closed in order and the next start has nothing to repair.
impl Drop for Embedded {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A panic there has been reported by the panic hook.
            let _ = writer.join();
        }
    }
}

impl File {
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        database.as_ref().ok_or(redb::Error::PreviousIo).and_then(work)
    }

    /// Holds no lock while the file is closed and opened, which may take long: readers are told no meanwhile.
    fn open_anew_if_failed(&self) -> Result<(), redb::Error> {
        if !self.failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let replace = |new| {
            let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *database, new)
        };
        drop(replace(None));
        replace(Some(open_database(&self.path)?));
        self.failed.store(false, Ordering::Relaxed);
        tracing::info!("the embedded store is back");
        Ok(())
    }
}

fn prepare_directory(directory: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::in_directory(directory, &error);
    match fs::metadata(directory) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => Err(OpenError::Settings(format!(
            "DATA_DIR {0} is open to other users: run `chmod 700 {0}`, or name a directory that is not there yet",
            directory.display()
        ))),
        Ok(_) => Ok(()),
        Err(_) => fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed),
    }
}

fn open_database(path: &Path) -> Result<Database, redb::Error> {
    let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
    create_tables(&database)?;
    Ok(database)
}

fn open_error(directory: &Path, error: &redb::Error) -> OpenError {
    let directory = directory.display();
    OpenError::Failed(match error {
        redb::Error::DatabaseAlreadyOpen => format!(
            "the embedded store in {directory} is held by another process, probably a running server: stop it first, \
             or use Redis to run several"
        ),
        other => format!("the embedded store in {directory} cannot be opened: {other}"),
    })
}

fn create_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(USERS)?;
    transaction.open_table(EPOCHS)?;
    transaction.open_table(SESSIONS)?;
    Ok(transaction.commit()?)
}

fn storage_failure(error: &redb::Error) -> Error {
    tracing::error!(%error, "the embedded store failed");
    Error::Unavailable(Outage::Refused)
}

/// The embedded store's clock, in milliseconds since the Unix epoch.
fn now() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

fn access_lives(snapshot: &redb::ReadTransaction, tag: Id, sid: Id) -> Result<bool, redb::Error> {
    session_lives(snapshot, tag, sid, |(_, access_end, _)| access_end)
}

fn session_lives(
    snapshot: &redb::ReadTransaction,
    tag: Id,
    sid: Id,
    end: impl FnOnce((&str, u64, u64)) -> u64,
) -> Result<bool, redb::Error> {
    let epochs = snapshot.open_table(EPOCHS)?;
    let sessions = snapshot.open_table(SESSIONS)?;
    let (Some(epoch), Some(session)) = (epochs.get(tag.as_str())?, sessions.get((tag.as_str(), sid.as_str()))?) else {
        return Ok(false);
    };
    let ((epoch, epoch_end), now) = (epoch.value(), now());
    let session = session.value();
    Ok(epoch_end > now && session.0 == epoch && end(session) > now)
}

struct Writer {
    file: Arc<File>,
    lifetimes: Lifetimes,
    /// Where the next sweep goes on; `None` at the start of the table.
    sweep_from: Option<(Id, Id)>,
}

struct Tables<'t> {
    users: Table<'t, &'static str, &'static [u8]>,
    epochs: Table<'t, &'static str, (&'static str, u64)>,
    sessions: Table<'t, (&'static str, &'static str), (&'static str, u64, u64)>,
}

impl Writer {
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
                    self.commit(first, requests);
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

    /// Carries out `first` and what else is waiting in one transaction, and answers once it is on disk.
    fn commit(&self, first: Request, requests: &Receiver<Request>) {
        let group: Vec<Request> = std::iter::once(first).chain(requests.try_iter().take(COMMIT_GROUP - 1)).collect();
        let (writes, replies): (Vec<_>, Vec<_>) = group.into_iter().map(|r| (r.write, r.reply)).unzip();
        let outcome = self.file.with(|database| self.apply_all(database, &writes));
        match outcome {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // Nobody may be waiting any more: the write stands all the same.
                    let _ = reply.send(Ok(answer));
                }
            }
            Err(error) => {
                self.fail(&error);
                for reply in replies {
                    let _ = reply.send(Err(Error::Unavailable(Outage::Refused)));
                }
            }
        }
    }

    fn fail(&self, error: &redb::Error) {
        storage_failure(error);
        self.file.failed.store(true, Ordering::Relaxed);
    }

    fn apply_all(&self, database: &Database, writes: &[Write]) -> Result<Vec<bool>, redb::Error> {
        let transaction = database.begin_write()?;
        let answers = {
            let mut tables = Tables {
                users: transaction.open_table(USERS)?,
                epochs: transaction.open_table(EPOCHS)?,
                sessions: transaction.open_table(SESSIONS)?,
            };
            let now = now();
            writes.iter().map(|write| tables.apply(write, now, self.lifetimes)).collect::<Result<Vec<_>, _>>()?
        };
        if answers.contains(&true) {
            transaction.commit()?;
        } else {
            transaction.abort()?;
        }
        Ok(answers)
    }

    /// Removes expired entries; `false` when no entry is left that could expire.
    fn sweep(&mut self) -> Result<bool, redb::Error> {
        let file = Arc::clone(&self.file);
        file.with(|database| self.sweep_in(database))
    }

    fn sweep_in(&mut self, database: &Database) -> Result<bool, redb::Error> {
        let transaction = database.begin_write()?;
        let (mut removed, left);
        {
            let mut epochs = transaction.open_table(EPOCHS)?;
            let mut sessions = transaction.open_table(SESSIONS)?;
            let now = now();
            let (dead, next) = dead_sessions(&sessions, self.sweep_from, now)?;
            self.sweep_from = next;
            removed = dead.len();
            for (tag, sid) in dead {
                sessions.remove((tag.as_str(), sid.as_str()))?;
                let epoch_ended = epochs.get(tag.as_str())?.is_some_and(|epoch| epoch.value().1 <= now);
                if epoch_ended {
                    epochs.remove(tag.as_str())?;
                    removed += 1;
                }
            }
            left = sessions.len()?;
        }
        if removed > 0 {
            transaction.commit()?;
        } else {
            transaction.abort()?;
        }
        Ok(left > 0)
    }
}

type SessionKey = (Id, Id);

/// Looks at a stretch of the table; returns what has expired there, and where the next stretch begins.
fn dead_sessions(
    sessions: &impl ReadableTable<(&'static str, &'static str), (&'static str, u64, u64)>,
    from: Option<SessionKey>,
    now: u64,
) -> Result<(Vec<SessionKey>, Option<SessionKey>), redb::Error> {
    let start = from.as_ref().map_or(("", ""), |(tag, sid)| (tag.as_str(), sid.as_str()));
    let mut dead = Vec::new();
    for (looked_at, entry) in sessions.range(start..)?.enumerate() {
        let (key, value) = entry?;
        let (tag, sid) = key.value();
        let Some(key) = Id::parse(tag).zip(Id::parse(sid)) else { continue };
        if looked_at == SWEEP_LOOK || dead.len() == SWEEP_REMOVE {
            return Ok((dead, Some(key)));
        }
        let (_, access_end, refresh_end) = value.value();
        if access_end.max(refresh_end) <= now {
            dead.push(key);
        }
    }
    Ok((dead, None))
}

impl Tables<'_> {
    fn apply(&mut self, write: &Write, now: u64, lifetimes: Lifetimes) -> Result<bool, redb::Error> {
        match write {
            Write::CreateUser { tag, record } => {
                if self.users.get(tag.as_str())?.is_some() {
                    return Ok(false);
                }
                self.users.insert(tag.as_str(), record.as_slice())?;
                Ok(true)
            }
            Write::DeleteUser { tag } => {
                self.epochs.remove(tag.as_str())?;
                Ok(self.users.remove(tag.as_str())?.is_some())
            }
            Write::OpenSession { tag, seen, upgraded, session } => {
                self.open_session(*tag, seen, upgraded.as_deref(), *session, now, lifetimes)
            }
            Write::Refresh { tag, sid } => self.refresh(*tag, *sid, now, lifetimes),
            Write::RemoveTokens { tag } => {
                let removed = self.epochs.remove(tag.as_str())?;
                Ok(removed.is_some_and(|epoch| epoch.value().1 > now))
            }
        }
    }

    fn open_session(
        &mut self,
        tag: Id,
        seen: &[u8],
        upgraded: Option<&[u8]>,
        NewSession { sid, epoch }: NewSession,
        now: u64,
        lifetimes: Lifetimes,
    ) -> Result<bool, redb::Error> {
        let unchanged = self.users.get(tag.as_str())?.is_some_and(|record| record.value() == seen);
        if !unchanged {
            return Ok(false);
        }
        if let Some(record) = upgraded {
            self.users.insert(tag.as_str(), record)?;
        }
        let (epoch, epoch_end) = self.live_epoch(tag, now)?.unwrap_or((epoch, 0));
        let access_end = now + lifetimes.access_seconds * 1_000;
        let refresh_end = now + lifetimes.refresh_seconds * 1_000;
        // Never shortened: sessions of a longer lifetime, before a change of settings, keep theirs.
        self.epochs.insert(tag.as_str(), (epoch.as_str(), epoch_end.max(refresh_end)))?;
        self.sessions.insert((tag.as_str(), sid.as_str()), (epoch.as_str(), access_end, refresh_end))?;
        Ok(true)
    }

    fn refresh(&mut self, tag: Id, sid: Id, now: u64, lifetimes: Lifetimes) -> Result<bool, redb::Error> {
        let Some((epoch, epoch_end)) = self.live_epoch(tag, now)? else { return Ok(false) };
        let key = (tag.as_str(), sid.as_str());
        let refresh_end = match self.sessions.get(key)? {
            Some(session) if session.value().0 == epoch.as_str() && session.value().2 > now => session.value().2,
            _ => return Ok(false),
        };
        let access_end = now + lifetimes.access_seconds * 1_000;
        self.sessions.insert(key, (epoch.as_str(), access_end, refresh_end))?;
        // The epoch lives exactly as long as the last token, so that removal can tell whether there was one.
        self.epochs.insert(tag.as_str(), (epoch.as_str(), epoch_end.max(access_end)))?;
        Ok(true)
    }

    fn live_epoch(&self, tag: Id, now: u64) -> Result<Option<(Id, u64)>, redb::Error> {
        let Some(entry) = self.epochs.get(tag.as_str())? else { return Ok(None) };
        let (epoch, end) = entry.value();
        Ok(Id::parse(epoch).filter(|_| end > now).map(|epoch| (epoch, end)))
    }
}
