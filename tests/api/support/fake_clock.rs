//! A wall clock for one server, which a test sets while the server runs. It comes from libfaketime.

use std::{fs, path::Path, process::Stdio, sync::LazyLock};

use tempfile::TempDir;

use super::process::program;

/// The wall clock of the servers that get its settings. Their monotonic clock stays real, like on a machine whose clock
/// is set.
pub(crate) struct FakeClock {
    directory: TempDir,
    file: String,
}

/// The library that the wrapper `faketime` loads into programs.
static LIBRARY: LazyLock<String> = LazyLock::new(|| {
    let mut wrapper = program("faketime");
    wrapper.args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]).stdin(Stdio::null());
    String::from_utf8(wrapper.output().unwrap().stdout).unwrap().trim_end().to_owned()
});

impl FakeClock {
    /// A clock that is this many seconds ahead of the clock of this machine.
    pub(crate) fn new(seconds: i64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("offset").to_str().unwrap().to_owned();
        let clock = Self { directory, file };
        clock.set(seconds);
        clock
    }

    /// Sets the clock.
    pub(crate) fn set(&self, seconds: i64) {
        // A server may read the file at any moment, so the whole content must appear at once.
        let new = self.directory.path().join("new");
        fs::write(&new, format!("{seconds:+}")).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    /// The environment of a server with this clock.
    pub(crate) fn settings(&self) -> [(&str, &str); 4] {
        [
            ("LD_PRELOAD", LIBRARY.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", &self.file),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]
    }
}

/// Deletes the shared memory of processes that have ended. The library leaves it behind when a server is killed. The
/// servers with this clock have ended, because a test declares the clock before them.
impl Drop for FakeClock {
    fn drop(&mut self) {
        for file in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            let name = file.file_name().into_string().unwrap_or_default();
            let pid = name.strip_prefix("faketime_shm_").or_else(|| name.strip_prefix("sem.faketime_sem_"));
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                // Another test may have deleted the file.
                let _ = fs::remove_file(file.path());
            }
        }
    }
}
