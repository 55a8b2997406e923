//! A real Chromium without a window.

use std::{
    fs::{self, File},
    process::{ChildStdin, ChildStdout, Command, Stdio},
    thread,
};

use tempfile::TempDir;

use crate::support::{Process, program, raw, signal, wait_longer};

const OPTIONS: [&str; 9] = [
    "--headless",
    // The sandbox fails for root and in most containers. The tests open only pages of their own.
    "--no-sandbox",
    "--disable-gpu",
    // The shared memory of a container may be small.
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-breakpad",
    "--no-first-run",
    // Chromium would block the tabs that a page of a test opens.
    "--disable-popup-blocking",
];

/// A running browser with a profile of its own, closed when dropped.
pub(crate) struct Chromium {
    process: Process,
    profile: TempDir,
}

impl Chromium {
    /// Opens a page.
    pub(crate) fn open(url: &str) -> Self {
        // A free port, which the browser writes into its profile.
        Self::start(program("chromium"), &["--remote-debugging-port=0", url], Stdio::null, Stdio::null)
    }

    /// A browser that obeys the protocol of the developer tools on two pipes.
    pub(crate) fn with_pipes() -> (Self, ChildStdin, ChildStdout) {
        let mut shell = program("sh");
        // Chromium has the two pipes as the files 3 and 4.
        shell.args(["-c", r#"exec chromium "$@" 3<&0 4>&1 </dev/null >&2"#, "sh"]);
        let mut browser = Self::start(shell, &["--remote-debugging-pipe"], Stdio::piped, Stdio::piped);
        let child = browser.process.child();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        (browser, input, output)
    }

    fn start(mut command: Command, more: &[&str], stdin: fn() -> Stdio, stdout: fn() -> Stdio) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let log = File::create(profile.path().join("log")).unwrap();
        command.arg(format!("--user-data-dir={}", profile.path().display())).args(OPTIONS).args(more);
        command.env("HOME", profile.path()).stdin(stdin()).stdout(stdout()).stderr(log);
        Self { process: Process::start(command), profile }
    }

    /// Opens a further tab, by the protocol of the developer tools.
    pub(crate) fn open_tab(&self, url: &str) {
        let (file, mut port) = (self.profile.path().join("DevToolsActivePort"), None);
        wait_longer(120, "Chromium listens", || {
            let text = fs::read_to_string(&file).unwrap_or_default();
            port = text.lines().next().and_then(|line| line.parse().ok());
            port.is_some()
        });
        // Chromium takes the text up to the first ampersand, and decodes it.
        let request = raw::request("PUT", &format!("/json/new?{}", url.replace('&', "%26")), &[], None);
        assert_eq!(raw::exchange(port.unwrap(), &request).unwrap().status, 200);
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
