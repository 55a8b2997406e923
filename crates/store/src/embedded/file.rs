//! The database file. After a failure of the disk, such as a full disk, redb refuses every operation. So the writer
//! tries to reopen the file until it succeeds.

use std::{
    path::{Path, PathBuf},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::Database;

use super::{
    boot::BootTime,
    resume::resume,
    tables::{FormatError, Snapshot, prepare},
    trouble::Trouble,
};

/// The size of the page cache, in bytes.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// The open file. redb locks the file, so no other process can open it. Only the writer opens and closes the file.
pub(super) struct File {
    path: PathBuf,
    /// `None` only while the writer reopens the file.
    open: RwLock<Option<Open>>,
    /// Set by a failure of the disk.
    failed: AtomicBool,
    trouble: Trouble,
}

struct Open {
    /// All readers share one snapshot, because opening a transaction and its tables costs more than a read. `None`
    /// during a write, because a snapshot keeps the pages that the commit frees, so the file would grow.
    snapshot: Option<Snapshot>,
    database: Database,
}

impl File {
    /// Opens the file, and creates it if it does not exist.
    pub(super) fn open(path: PathBuf) -> Result<Self, FormatError> {
        let open = RwLock::new(Some(open_database(&path)?));
        Ok(Self { path, open, failed: AtomicBool::new(false), trouble: Trouble::default() })
    }

    /// See [`resume`].
    pub(super) fn resume(&self, machine_millis: u64) -> Result<u64, redb::Error> {
        self.write(|database| resume(database, machine_millis, BootTime::now().as_ref()))
    }

    /// Reads the last committed state.
    pub(super) fn read<T, E: From<redb::Error>>(&self, look: impl FnOnce(&Snapshot) -> Result<T, E>) -> Result<T, E> {
        self.with(|open| match &open.snapshot {
            Some(snapshot) => look(snapshot),
            None => look(&Snapshot::of(&open.database)?),
        })
    }

    /// Runs `work`, which changes the database, and then lets readers see the result.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        self.show(None);
        let (done, snapshot) =
            self.with(|open| Ok::<_, redb::Error>((work(&open.database)?, Snapshot::of(&open.database)?)))?;
        self.show(Some(snapshot));
        Ok(done)
    }

    fn show(&self, snapshot: Option<Snapshot>) {
        if let Some(open) = self.open.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
            open.snapshot = snapshot;
        }
    }

    fn with<T, E: From<redb::Error>>(&self, work: impl FnOnce(&Open) -> Result<T, E>) -> Result<T, E> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        work(open.as_ref().ok_or(redb::Error::PreviousIo)?)
    }

    /// Whether the disk has failed, and the file has not been reopened since.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Records a failure of the disk.
    pub(super) fn fail(&self, error: &redb::Error) {
        self.failed.store(true, Ordering::Relaxed);
        self.trouble.begin(error);
    }

    /// Whether an operation has failed recently.
    pub(super) fn has_trouble(&self) -> bool {
        self.trouble.is_open()
    }

    /// Whether the log has said that the last failure is over. When no operation has failed for a while, this call logs
    /// the end of the failure.
    pub(super) fn is_well(&self) -> bool {
        self.trouble.end_if_quiet()
    }

    /// Reopens the file after a failure. Meanwhile readers get an error instead of waiting for a lock, because closing
    /// and opening may take long.
    pub(super) fn reopen_if_failed(&self) -> Result<(), redb::Error> {
        if !self.has_failed() {
            return Ok(());
        }
        let replace = |new| {
            let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *open, new)
        };
        drop(replace(None));
        let opened = open_database(&self.path).map_err(|error| match error {
            FormatError::Storage(error) => error,
            other => redb::Error::Corrupted(other.to_string()),
        })?;
        replace(Some(opened));
        self.failed.store(false, Ordering::Relaxed);
        Ok(())
    }
}

fn open_database(path: &Path) -> Result<Open, FormatError> {
    let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
    prepare(&database)?;
    Ok(Open { snapshot: Some(Snapshot::of(&database)?), database })
}
