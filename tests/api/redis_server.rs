//! A real `redis-server` of the tests' own.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::{self, Child, Command, Stdio},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::topology::Shared;

/// Stopped when dropped.
pub(crate) struct RedisServer {
    port: u16,
    directory: TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
}

static SHARED: Mutex<Option<Shared>> = Mutex::new(None);

/// A port that is free, and stays so until it is used: not one of those that the system gives to outgoing connections,
/// which could take it meanwhile, and each time another one. Those 10,000 above are left to nodes of clusters.
pub(crate) fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(process::id().wrapping_mul(97)));
    loop {
        let port = 10_000 + (NEXT.fetch_add(1, Ordering::Relaxed) % 10_000) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Waits until `condition` holds; panics after ten seconds.
pub(crate) fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_longer(10, what, condition);
}

/// Likewise, panics after so many seconds.
pub(crate) fn wait_longer(seconds: u64, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(seconds), "waited {seconds} seconds in vain until {what}");
        sleep(Duration::from_millis(5));
    }
}

impl RedisServer {
    /// A server of its own for a test that looks at all of it, or that harms it. Persists nothing unless asked to.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_at(free_port(), arguments)
    }

    /// Likewise, on a port that the test has picked.
    pub(crate) fn start_at(port: u16, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let directory = tempfile::tempdir().unwrap();
        let mut server = Self { port, directory, arguments, child: None };
        server.restart();
        server
    }

    /// The URL of the server or servers that all other tests share.
    pub(crate) fn shared_url() -> String {
        let mut shared = SHARED.lock().unwrap();
        shared.get_or_insert_with(Shared::start).url()
    }

    pub(crate) fn stop_shared() {
        drop(SHARED.lock().unwrap().take());
    }

    /// `redis-server`, or what `TEST_REDIS_SERVER` names in its place.
    pub(crate) fn program() -> Command {
        Command::new(std::env::var_os("TEST_REDIS_SERVER").unwrap_or_else(|| "redis-server".into()))
    }

    /// Whether the program knows a directive: one that does stops at the next, which nobody knows, and names it.
    pub(crate) fn knows(directive: &str, value: &str) -> bool {
        let mut command = RedisServer::program();
        command.args([directive, value, "--no-such-directive", "here"]).stdin(Stdio::null());
        let said = command.output().map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
        String::from_utf8_lossy(&said).contains(">>> 'no-such-directive")
    }

    /// Whether the program was built with TLS: one that was goes on to miss the certificate.
    pub(crate) fn has_tls() -> bool {
        let mut command = RedisServer::program();
        command.args(["--port", "0", "--tls-port", "1", "--tls-cert-file", "/nowhere"]).stdin(Stdio::null());
        let said = command.output().map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
        String::from_utf8_lossy(&said).contains("Failed to configure TLS")
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child.is_some()
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

    /// Likewise, when the server may be away; it is not waited for.
    pub(crate) fn try_command<T: redis::FromRedisValue>(&self, words: &[&str]) -> Option<T> {
        let patience = Duration::from_millis(300);
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_connection_with_timeout(patience).ok()?;
        connection.set_read_timeout(Some(patience)).unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut connection).ok()
    }

    /// Makes a node with `--cluster-enabled yes` a cluster of its own.
    pub(crate) fn take_all_slots(&self) {
        let slots: Vec<String> = (0..16_384).map(|slot| slot.to_string()).collect();
        let words = ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str));
        let () = self.command(&words.collect::<Vec<_>>());
        wait_until("the node is well", || self.command::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
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
        let mut command = Self::program();
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
