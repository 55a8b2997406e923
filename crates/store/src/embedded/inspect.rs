//! A careful look at the data directory: who may read it, and the room on its disk.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use super::store::{Embedded, FILE_NAME};
use crate::finding::{Finding, Verdict};

/// How many MiB are free at least where the file is small.
const LEAST_FREE_MIB: u64 = 64;

impl Embedded {
    pub(crate) fn inspect(&self) -> io::Result<Vec<Finding>> {
        let place = self.directory().display().to_string();
        let file = fs::metadata(self.directory().join(FILE_NAME))?;
        let mode = fs::metadata(self.directory())?.permissions().mode() & 0o777;
        let disk = rustix::fs::statvfs(self.directory())?;
        // Blocks instead of the length: redb makes the file longer ahead of its writes, and a hole takes no room.
        let (used, free) = ((file.blocks() * 512) >> 20, disk.f_bavail.saturating_mul(disk.f_frsize) >> 20);
        // As much as the file has now, because redb may need that to tidy it.
        let (room, advice) = if free > used.max(LEAST_FREE_MIB) {
            (Verdict::Ok, "")
        } else {
            (Verdict::Warning, "make room: writes fail when the disk is full")
        };
        let seen = format!("{used} MiB in the file, {free} MiB free on the disk");
        Ok(vec![
            Finding::new(&place, "server", Verdict::Ok, "the embedded store, for one server", ""),
            Finding::new(&place, "permissions", Verdict::Ok, format!("mode {mode:04o}"), ""),
            Finding::new(&place, "memory", room, seen, advice),
        ])
    }
}
