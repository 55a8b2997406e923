//! aiosmtpd, as a process. `.ci/libraries.sh mail` downloads it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
    sync::mpsc::{Receiver as Lines, channel},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::support::{Process, free_port, program};

/// A running aiosmtpd, killed when dropped.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    pub(crate) port_with_login: u16,
    mails: Lines<String>,
    _process: Process,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        Self::start_at(free_port())
    }

    pub(crate) fn start_at(port: u16) -> Self {
        let port_with_login = free_port();
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let libraries = project.join("target/mail/libraries");
        assert!(libraries.is_dir(), "run .ci/libraries.sh mail first");
        let mut python = program("python3");
        python.env("PYTHONPATH", libraries).env("PYTHONDONTWRITEBYTECODE", "1");
        python.arg(project.join("tests/mail/receiver.py")).args([port.to_string(), port_with_login.to_string()]);
        python.stdout(Stdio::piped());
        let mut process = Process::start(python);
        let output = BufReader::new(process.child().stdout.take().unwrap());
        let (sender, mails) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // Fails when the test has ended.
                let _ = sender.send(line);
            }
        });
        assert_eq!(mails.recv_timeout(Duration::from_secs(30)).unwrap(), "listening");
        Self { port, port_with_login, mails, _process: process }
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// The URL of the port that wants a user name and a password.
    pub(crate) fn url_with(&self, login: &str) -> String {
        format!("smtp://{login}@127.0.0.1:{}", self.port_with_login)
    }

    /// The next mail.
    #[track_caller]
    pub(crate) fn mail(&self) -> Value {
        serde_json::from_str(&self.mails.recv_timeout(Duration::from_secs(30)).unwrap()).unwrap()
    }

    #[track_caller]
    pub(crate) fn assert_no_more(&self) {
        assert_eq!(self.mails.try_iter().collect::<Vec<_>>(), [""; 0]);
    }
}
