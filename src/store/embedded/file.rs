//! The database file. redb refuses everything after a failure of the disk (a full one, say), so the writer opens the
//! file anew until it can be used again.

use std::{
    path::{Path, PathBuf},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::Database;

use super::tables::{EPOCHS, KNOWN, SESSIONS, USERS};

/// Of pages, in bytes.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Only the writer opens and closes it.
pub(super) struct File {
    path: PathBuf,
    /// `None` only while it is opened anew.
    database: RwLock<Option<Database>>,
    /// Since the disk failed.
    failed: AtomicBool,
}

impl File {
    pub(super) fn open(path: PathBuf) -> Result<Self, redb::Error> {
        let database = RwLock::new(Some(open_database(&path)?));
        Ok(Self { path, database, failed: AtomicBool::new(false) })
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        database.as_ref().ok_or(redb::Error::PreviousIo).and_then(work)
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

fn open_database(path: &Path) -> Result<Database, redb::Error> {
    let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
    let transaction = database.begin_write()?;
    transaction.open_table(USERS)?;
    transaction.open_table(EPOCHS)?;
    transaction.open_table(SESSIONS)?;
    transaction.open_table(KNOWN)?;
    transaction.commit()?;
    Ok(database)
}
