//! Redis under three Sentinels.

use std::{path::Path, process::Stdio};

use tempfile::TempDir;

use super::{
    ports::free_port,
    process::{Process, signal},
    proxy::Proxy,
    redis_server::RedisServer,
    wait::{wait_longer, wait_until},
};

/// The name under which the tests' Sentinels know their primary.
pub(crate) const SERVICE: &str = "accounts";

/// Replication starts at once instead of after seconds.
pub(crate) const REPLICATION: [&str; 6] =
    ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", "--repl-timeout", "3"];

/// A primary, two replicas and three Sentinels. Each server is reached only through a network that the test can cut.
pub(crate) struct Sentinels {
    pub(crate) servers: Vec<RedisServer>,
    pub(crate) networks: Vec<Proxy>,
    ports: Vec<u16>,
    sentinels: Vec<Process>,
    _directory: TempDir,
}

impl Sentinels {
    pub(crate) fn start() -> Self {
        let (mut servers, mut networks): (Vec<RedisServer>, Vec<Proxy>) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let port = free_port();
            let network = Proxy::start(port);
            let announced = network.port().to_string();
            let mut arguments = vec!["--replica-announce-ip", "127.0.0.1", "--replica-announce-port", &announced];
            arguments.extend(REPLICATION);
            let primary = networks.first().map(|network: &Proxy| network.port().to_string());
            if let Some(primary) = &primary {
                arguments.extend(["--replicaof", "127.0.0.1", primary]);
            }
            servers.push(RedisServer::start_at(port, &arguments));
            networks.push(network);
        }
        // A Sentinel discovers replicas at its start and then only every ten seconds.
        wait_until("both replicas follow", || servers.iter().filter(|server| follows(server)).count() == 2);
        let directory = tempfile::tempdir().unwrap();
        let ports: Vec<_> = (0..3).map(|_| free_port()).collect();
        let sentinels =
            ports.iter().map(|port| sentinel(directory.path(), *port, networks[0].port(), 2, &[])).collect();
        let sentinels = Self { servers, networks, ports, sentinels, _directory: directory };
        wait_longer(30, "the Sentinels know each other and both replicas", || sentinels.is_whole());
        sentinels
    }

    pub(crate) fn url(&self) -> String {
        let hosts: Vec<_> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://{}/{SERVICE}", hosts.join(","))
    }

    /// Kills all but the first `count` Sentinels.
    pub(crate) fn keep_sentinels(&mut self, count: usize) {
        self.sentinels.truncate(count);
    }

    /// Sends SIGSTOP to one Sentinel.
    pub(crate) fn freeze_sentinel(&self, n: usize) {
        signal(self.sentinels[n].pid(), "STOP");
    }

    /// Sends a `SENTINEL` command to one Sentinel.
    pub(crate) fn ask<T: redis::FromRedisValue>(&self, n: usize, words: &[&str]) -> redis::RedisResult<T> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.ports[n])).unwrap();
        let mut command = redis::cmd("SENTINEL");
        command.arg(words);
        command.query(&mut client.get_connection()?)
    }

    /// The connections to one Sentinel.
    pub(crate) fn clients(&self, n: usize) -> String {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.ports[n])).unwrap();
        redis::cmd("CLIENT").arg("LIST").query(&mut client.get_connection().unwrap()).unwrap()
    }

    /// Waits until all Sentinels agree on a primary, and returns this server.
    pub(crate) fn primary(&self) -> usize {
        let mut primary = None;
        wait_until("the Sentinels agree on a primary", || {
            let port = |n| {
                let answer = self.ask::<(String, u16)>(n, &["GET-MASTER-ADDR-BY-NAME", SERVICE]).ok()?;
                Some(answer.1)
            };
            let ports = [port(0), port(1), port(2)];
            primary = self.networks.iter().position(|network| ports.iter().all(|port| *port == Some(network.port())));
            primary.is_some()
        });
        primary.unwrap()
    }

    /// Waits until a server other than `old` is the primary.
    pub(crate) fn wait_for_failover(&self, old: usize) -> usize {
        let mut primary = old;
        wait_until("there is another primary", || {
            primary = self.primary();
            primary != old
        });
        primary
    }

    /// Whether all servers run and replicate, and each Sentinel knows them.
    pub(crate) fn is_whole(&self) -> bool {
        let known = |n| {
            let master: redis::RedisResult<std::collections::HashMap<String, String>> =
                self.ask(n, &["MASTER", SERVICE]);
            master.is_ok_and(|master| {
                master["num-slaves"] == "2" && master["num-other-sentinels"] == "2" && master["flags"] == "master"
            })
        };
        (0..3).all(known) && self.servers.iter().filter(|server| follows(server)).count() == 2
    }
}

/// Whether the server is a replica whose link to its primary is up.
fn follows(server: &RedisServer) -> bool {
    let info: Option<String> = server.try_command(&["INFO", "replication"]);
    info.is_some_and(|info| info.contains("role:slave") && info.contains("master_link_status:up"))
}

/// A single Sentinel with a quorum of one.
pub(crate) struct LoneSentinel {
    _process: Process,
    _directory: TempDir,
}

impl LoneSentinel {
    pub(crate) fn start(port: u16, primary: u16, more: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { _process: sentinel(directory.path(), port, primary, 1, more), _directory: directory }
    }
}

fn sentinel(directory: &Path, port: u16, primary: u16, quorum: u32, more: &[&str]) -> Process {
    let file = directory.join(format!("{port}.conf"));
    let mut lines = vec![
        format!("port {port}"),
        "bind 127.0.0.1".to_owned(),
        format!("dir {}", directory.display()),
        format!("sentinel monitor {SERVICE} 127.0.0.1 {primary} {quorum}"),
        format!("sentinel down-after-milliseconds {SERVICE} 700"),
        format!("sentinel failover-timeout {SERVICE} 1500"),
        format!("sentinel parallel-syncs {SERVICE} 2"),
    ];
    lines.extend(more.iter().map(|&line| line.to_owned()));
    std::fs::write(&file, lines.join("\n")).unwrap();
    let mut command = RedisServer::program();
    command.arg(file).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Process::start(command)
}
