//! Inspects the data directory: its permissions, the free space on its disk, and the time of the store.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    time::Duration,
};

use auth_service_records::clock::{Skew, machine_time};

use super::store::{Embedded, FILE_NAME};
use crate::finding::{Finding, Verdict};

/// The minimum free space for a small file, in MiB.
const LEAST_FREE_MIB: u64 = 64;

impl Embedded {
    pub(crate) fn inspect(&self) -> io::Result<Vec<Finding>> {
        let place = self.directory().display().to_string();
        let file = fs::metadata(self.directory().join(FILE_NAME))?;
        let mode = fs::metadata(self.directory())?.permissions().mode() & 0o777;
        let disk = rustix::fs::statvfs(self.directory())?;
        // Counts blocks instead of bytes, because redb extends the file ahead of its writes, and a hole takes no disk
        // space.
        let (used, free) = ((file.blocks() * 512) >> 20, disk.f_bavail.saturating_mul(disk.f_frsize) >> 20);
        // The free space should exceed the size of the file, because redb may need as much space again to rewrite the
        // file.
        let (room, advice) = if free > used.max(LEAST_FREE_MIB) {
            (Verdict::Ok, "")
        } else {
            (Verdict::Warning, "free some disk space: writes fail when the disk is full")
        };
        let seen = format!("{used} MiB in the file, {free} MiB free on the disk");
        Ok(vec![
            Finding::new(&place, "server", Verdict::Ok, "the embedded store, for one server", ""),
            Finding::new(&place, "permissions", Verdict::Ok, format!("mode {mode:04o}"), ""),
            Finding::new(&place, "memory", room, seen, advice),
            self.inspect_clock(&place),
        ])
    }

    fn inspect_clock(&self, place: &str) -> Finding {
        let skew = Skew::between(Duration::from_millis(self.clock.now_millis()), machine_time());
        let advice = "users are signed in since before this machine's clock was set: their tokens keep the old time until \
                      nobody is signed in at a start of the server";
        let (verdict, advice) = if skew.matters() { (Verdict::Warning, advice) } else { (Verdict::Ok, "") };
        Finding::new(place, Finding::CLOCK, verdict, skew.to_string(), advice)
    }
}
