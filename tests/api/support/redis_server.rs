//! A real `redis-server` that a test starts.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use super::{
    ports::free_port,
    process::{Process, program, signal},
    wait::wait_until,
};

/// A running server, stopped when dropped.
pub(crate) struct RedisServer {
    port: u16,
    directory: TempDir,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl RedisServer {
    /// A server for a test that inspects all keys or causes failures. It persists nothing, unless `arguments` say so.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_at(free_port(), arguments)
    }

    /// A server on a port that the test has picked.
    pub(crate) fn start_at(port: u16, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let directory = tempfile::tempdir().unwrap();
        let mut server = Self { port, directory, arguments, process: None };
        server.restart();
        server
    }

    /// `redis-server`, or the program that `TEST_REDIS_SERVER` names.
    pub(crate) fn program() -> Command {
        program(std::env::var_os("TEST_REDIS_SERVER").unwrap_or_else(|| "redis-server".into()))
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().pid()
    }

    /// Opens a new connection for the test.
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

    /// Runs one command on a server that may be down, without a long wait for the server.
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
        wait_until("the node is healthy", || self.command::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
    }

    /// Starts a stopped server, on the same port and in the same directory, and waits until it accepts connections.
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

    /// Starts a stopped server with more arguments, without waiting until it accepts connections.
    pub(crate) fn spawn(&mut self, more: &[&str]) {
        assert!(self.process.is_none(), "redis-server is already running");
        let mut command = Self::program();
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(self.directory.path()).args(&self.arguments).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(Process::start(command));
    }

    /// Deletes the directory of a running server, which can then write no file.
    pub(crate) fn lose_directory(&self) {
        std::fs::remove_dir_all(self.directory.path()).unwrap();
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    /// SIGSTOP: connections stay open, but the server answers nothing.
    pub(crate) fn freeze(&self) {
        signal(self.pid(), "STOP");
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        signal(self.pid(), "CONT");
    }
}
