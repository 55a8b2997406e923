//! The database file. redb refuses everything after a failure of the disk (a full one, say), so the writer opens the
//! file anew until it can be used again.

use std::{
    path::{Path, PathBuf},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{Database, ReadOnlyTable, ReadableDatabase};

use super::tables::{KNOWN, SESSIONS, SessionValue, USERS};

/// Of pages, in bytes.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Only the writer opens and closes it.
pub(super) struct File {
    path: PathBuf,
    /// `None` only while it is opened anew.
    open: RwLock<Option<Open>>,
    /// Since the disk failed.
    failed: AtomicBool,
}

struct Open {
    /// `None` while something is written: it would keep pages that the commit gives up, and the file would grow by them.
    snapshot: Option<Snapshot>,
    database: Database,
}

/// What was committed last. All readers share one: a transaction and its tables of one's own cost more than the look.
pub(super) struct Snapshot {
    pub(super) users: ReadOnlyTable<&'static str, &'static [u8]>,
    pub(super) sessions: ReadOnlyTable<(&'static str, &'static str), SessionValue<'static>>,
    pub(super) known: ReadOnlyTable<(&'static str, &'static str), u64>,
}

impl Snapshot {
    fn of(database: &Database) -> Result<Self, redb::Error> {
        let transaction = database.begin_read()?;
        Ok(Self {
            users: transaction.open_table(USERS)?,
            sessions: transaction.open_table(SESSIONS)?,
            known: transaction.open_table(KNOWN)?,
        })
    }
}

impl File {
    pub(super) fn open(path: PathBuf) -> Result<Self, redb::Error> {
        let open = RwLock::new(Some(open_database(&path)?));
        Ok(Self { path, open, failed: AtomicBool::new(false) })
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&Snapshot) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        self.with(|open| match &open.snapshot {
            Some(snapshot) => look(snapshot),
            None => look(&Snapshot::of(&open.database)?),
        })
    }

    /// Carries out what changes the database, and then shows readers what it says.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        self.show(None);
        let (done, snapshot) = self.with(|open| Ok((work(&open.database)?, Snapshot::of(&open.database)?)))?;
        self.show(Some(snapshot));
        Ok(done)
    }

    fn show(&self, snapshot: Option<Snapshot>) {
        if let Some(open) = self.open.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
            open.snapshot = snapshot;
        }
    }

    fn with<T>(&self, work: impl FnOnce(&Open) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().ok_or(redb::Error::PreviousIo).and_then(work)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Holds no lock while the file is closed and opened, which may take long: readers are told no meanwhile.
    pub(super) fn open_anew_if_failed(&self) -> Result<(), redb::Error> {
        if !self.has_failed() {
            return Ok(());
        }
        let replace = |new| {
            let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *open, new)
        };
        drop(replace(None));
        replace(Some(open_database(&self.path)?));
        self.failed.store(false, Ordering::Relaxed);
        tracing::info!("the embedded store is back");
        Ok(())
    }
}

fn open_database(path: &Path) -> Result<Open, redb::Error> {
    let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
    let transaction = database.begin_write()?;
    transaction.open_table(USERS)?;
    transaction.open_table(SESSIONS)?;
    transaction.open_table(KNOWN)?;
    transaction.commit()?;
    Ok(Open { snapshot: Some(Snapshot::of(&database)?), database })
}
