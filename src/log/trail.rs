//! The audit trail in the log: the file that its lines can have of their own, and whether there is room for more.

use std::{
    fs::{File, OpenOptions, metadata},
    io::{self, ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};
use tokio::sync::watch;

use super::{metrics::Metrics, writer::Lines};

/// The space that the file must be able to grow by at the start.
const ROOM_BYTES: u64 = 4096;

/// A handle to the audit trail of the process.
#[derive(Clone)]
pub struct Trail {
    pub(super) full: Vec<watch::Receiver<bool>>,
    pub(super) file: Option<TrailFile>,
    pub(super) metrics: Metrics,
}

impl Trail {
    /// Waits while too many lines of the trail are not written yet. A use case that may add a line waits here before it
    /// begins. Otherwise, it would lose its line, or the lines in memory would grow without limit.
    pub async fn has_room(&self) {
        for full in &self.full {
            if *full.borrow() {
                // Fails only if the log has ended, and then nothing waits to be written.
                let _ = full.clone().wait_for(|full| !full).await;
            }
        }
    }

    /// Adds the metrics of the whole log to a registry.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    /// Opens the file of the trail again, if there is one, because a program such as logrotate has renamed it.
    pub fn reopen(&self) {
        let Some(file) = &self.file else { return };
        let reopened = file.lock().reopen();
        if let Err(error) = reopened {
            tracing::error!(
                "AUDIT_LOG cannot be opened again: {error}; the audit trail goes on in the file that was open before; \
                 correct the cause, and send SIGHUP again"
            );
        }
    }
}

/// The file of the audit trail. A clone shares the open file.
#[derive(Clone)]
pub struct TrailFile(Arc<Mutex<Opened>>);

struct Opened {
    path: PathBuf,
    file: File,
    /// Whether the file ends within a line, because the disk was full.
    torn: bool,
    failing: bool,
}

impl TrailFile {
    /// Opens the file to append lines, and creates it with mode 0600 if it does not exist.
    ///
    /// # Errors
    /// When the file cannot be opened or is not a regular file, and when the disk has no room for a line.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        // Reserves room behind the end of the file, whose length and content do not change. Not every file system can.
        let reserved = fallocate(&file, FallocateFlags::KEEP_SIZE, file.metadata()?.len(), ROOM_BYTES);
        if let Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::IO)) = reserved {
            return Err(error.into());
        }
        Ok(Self(Arc::new(Mutex::new(Opened { path: path.to_owned(), file, torn: false, failing: false }))))
    }

    fn lock(&self) -> MutexGuard<'_, Opened> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> io::Result<File> {
    // To open a FIFO would wait for its reader.
    if metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(io::Error::other("it is not a regular file"));
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

impl Opened {
    /// Appends whole lines. Returns how many bytes of whole lines are in the file, and the error that ended the writing.
    fn append(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        let outcome = self.reopen_if_deleted().and_then(|()| self.write(lines, &mut written));
        let whole = lines[..written].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.torn |= written > whole;
        (whole, outcome)
    }

    fn write(&mut self, lines: &[u8], written: &mut usize) -> io::Result<()> {
        while *written < lines.len() {
            // The rest of the torn line is elsewhere, so the next line starts on a line of its own.
            let rest = if self.torn { &b"\n"[..] } else { &lines[*written..] };
            match self.file.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) if self.torn => self.torn = false,
                Ok(count) => *written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Lines in a deleted file would be lost.
    fn reopen_if_deleted(&mut self) -> io::Result<()> {
        let is_deleted = self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
        if is_deleted { self.reopen() } else { Ok(()) }
    }

    fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.torn) = (open(&self.path)?, false);
        Ok(())
    }

    /// Logs that the file cannot be written, and that it can be written again, each once.
    fn report(&mut self, outcome: &io::Result<()>) {
        match outcome {
            Err(error) if !self.failing => {
                tracing::error!("AUDIT_LOG cannot be written: {error}; until it can, the audit trail is in this log");
            }
            Ok(()) if self.failing => tracing::info!("AUDIT_LOG is written again"),
            _ => {}
        }
        self.failing = outcome.is_err();
    }
}

/// Writes lines to the file, and those that the file does not accept to the log.
pub(super) struct TrailWriter {
    pub(super) file: TrailFile,
    pub(super) log: Lines,
    pub(super) failing: Gauge,
}

/// Each call must hold whole lines.
impl Write for TrailWriter {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let mut file = self.file.lock();
        let (whole, outcome) = file.append(lines);
        file.report(&outcome);
        drop(file);
        self.failing.set(outcome.is_err().into());
        if outcome.is_err() {
            self.log.keep_in_turn(&lines[whole..]);
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
