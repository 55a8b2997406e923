//! A real Chromium without a window.

use std::{
    fs::{self, File},
    process::Stdio,
    thread,
};

use tempfile::TempDir;

use crate::support::{Process, program, signal};

/// A running browser with a profile of its own, closed when dropped.
pub(crate) struct Chromium {
    process: Process,
    profile: TempDir,
}

impl Chromium {
    /// Opens a page.
    pub(crate) fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = program("chromium");
        command.arg(format!("--user-data-dir={}", profile.path().display())).args([
            "--headless",
            // The sandbox does not run as root, nor in most containers. The page is our own.
            "--no-sandbox",
            "--disable-gpu",
            // The shared memory of a container may be small.
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-breakpad",
            "--no-first-run",
            url,
        ]);
        let log = File::create(profile.path().join("log")).unwrap();
        command.env("HOME", profile.path()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self { process: Process::start(command), profile }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = fs::read_to_string(self.profile.path().join("log")).unwrap_or_default();
            eprintln!("Chromium printed:\n{log}");
        }
        // An orderly end, so that the processes of the pages end, too.
        if self.process.status().is_none() {
            signal(self.process.pid(), "TERM");
            self.process.wait();
        }
    }
}
