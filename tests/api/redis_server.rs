//! A real `redis-server` of the tests' own.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Stopped when dropped.
pub(crate) struct RedisServer {
    port: u16,
    directory: TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
}

static SHARED: Mutex<Option<RedisServer>> = Mutex::new(None);

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until `condition` holds; panics after ten seconds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited ten seconds in vain until {what}");
        sleep(Duration::from_millis(5));
    }
}

impl RedisServer {
    /// A server of its own for a test that looks at all of it, or that harms it. Persists nothing unless asked to.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let directory = tempfile::tempdir().unwrap();
        let mut server = Self { port: free_port(), directory, arguments, child: None };
        server.restart();
        server
    }

    /// The URL of the server that all other tests share.
    pub(crate) fn shared_url() -> String {
        let mut shared = SHARED.lock().unwrap();
        shared.get_or_insert_with(|| Self::start(&[])).url()
    }

    pub(crate) fn stop_shared() {
        drop(SHARED.lock().unwrap().take());
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// A connection of the test's own.
    pub(crate) fn connect(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// Runs one command, such as `["CONFIG", "SET", "maxmemory", "1"]`.
    pub(crate) fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query(&mut self.connect()).unwrap()
    }

    /// Starts it, on the same port and in the same directory, and waits until it accepts connections.
    pub(crate) fn restart(&mut self) {
        self.spawn(&[]);
        wait_until("redis-server answers", || {
            let client = redis::Client::open(self.url()).unwrap();
            client
                .get_connection()
                .and_then(|mut connection| redis::cmd("PING").query::<String>(&mut connection))
                .is_ok()
        });
    }

    /// Starts it with more arguments and does not wait.
    pub(crate) fn spawn(&mut self, more: &[&str]) {
        assert!(self.child.is_none(), "it is running");
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(self.directory.path()).args(&self.arguments).args(more);
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGSTOP: connections stay, nothing is answered.
    pub(crate) fn freeze(&self) {
        signal(self.pid(), "STOP");
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        signal(self.pid(), "CONT");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

/// Sends a signal to a process that the test started.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap();
    assert!(status.success());
}
