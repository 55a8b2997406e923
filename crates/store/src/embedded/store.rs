//! Opens the embedded store, and gives each operation access to the file.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use auth_service_records::{
    clock::{Clock, machine_time},
    error::{Error, Outage},
    session::SessionPolicy,
};

use super::{
    counts::Counts,
    failure::Failure,
    file::File,
    tables::{FormatError, Snapshot, Tables},
    writer::Writer,
};
use crate::{
    metrics::{Kind, Metrics},
    open_error::OpenError,
};

/// The database file in the data directory.
pub(super) const FILE_NAME: &str = "store.redb";

/// The store in one data directory. No other process can open the store at the same time.
pub struct Embedded {
    directory: PathBuf,
    file: Arc<File>,
    writer: Writer,
    pub(super) counts: Counts,
    pub(super) policy: SessionPolicy,
    pub(super) clock: Clock,
    metrics: Metrics,
}

impl Embedded {
    /// Whether there is a store in `directory`.
    pub(crate) fn is_in(directory: &Path) -> bool {
        directory.join(FILE_NAME).is_file()
    }

    /// Opens the store in `directory`, and creates both if they do not exist.
    pub(crate) fn open(directory: &Path, policy: SessionPolicy, clock: Clock) -> Result<Self, OpenError> {
        prepare_directory(directory)?;
        let file = File::open(directory.join(FILE_NAME)).map_err(|error| open_error(directory, &error))?;
        let machine_millis = u64::try_from(machine_time().as_millis()).unwrap_or(u64::MAX);
        let time = file.resume(machine_millis).map_err(|error| open_error(directory, &error.into()))?;
        clock.set(time.saturating_mul(1_000), Instant::now());
        let file = Arc::new(file);
        let writer = Writer::start(Arc::clone(&file), clock.clone())
            .map_err(|error| OpenError::in_directory(directory, &error))?;
        let (directory, counts) = (directory.to_owned(), Counts::new(clock.clone()));
        Ok(Self { directory, file, writer, counts, policy, clock, metrics: Metrics::default() })
    }

    /// The data directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn now_seconds(&self) -> u64 {
        self.clock.now_seconds()
    }

    /// Does not tell reads from writes, because a failure of the disk ends both until the file is open again.
    pub(crate) fn ready(&self) -> Result<Option<Outage>, Error> {
        if self.writer.writes() { Ok(None) } else { Err(Error::Unavailable(Outage::DiskFailed)) }
    }

    /// Whether the store accepts writes, and no operation has failed recently.
    pub(crate) fn is_usable(&self) -> bool {
        self.writer.writes() && !self.file.has_trouble()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Reads the last committed state. `look` gets the current time, in milliseconds since the Unix epoch.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Snapshot, u64) -> Result<T, Failure>) -> Result<T, Error> {
        let (start, now) = (Instant::now(), self.clock.now_millis());
        let outcome = self.file.read(|snapshot| look(snapshot, now)).map_err(Error::from);
        self.metrics.count(Kind::Read, start, &outcome);
        outcome
    }

    /// See [`Writer::write`].
    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Tables<'_>, u64) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let start = Instant::now();
        let outcome = self.writer.write(operation).await;
        self.metrics.count(Kind::Write, start, &outcome);
        outcome
    }
}

fn prepare_directory(directory: &Path) -> Result<(), OpenError> {
    match fs::metadata(directory) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => Err(OpenError::Settings(format!(
            "DATA_DIR {0} is open to other users: run `chmod 700 {0}`, or name a directory that does not exist yet",
            directory.display()
        ))),
        Ok(_) => Ok(()),
        Err(_) => fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| OpenError::in_directory(directory, &error)),
    }
}

fn open_error(directory: &Path, error: &FormatError) -> OpenError {
    let directory = directory.display();
    OpenError::Failed(match error {
        FormatError::Storage(redb::Error::DatabaseAlreadyOpen) => format!(
            "the embedded store in {directory} is held by another process, probably a running server: stop it first, \
             or use Redis to run several"
        ),
        other => format!("the embedded store in {directory} cannot be opened: {other}"),
    })
}
