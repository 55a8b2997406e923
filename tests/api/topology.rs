//! Redis in the forms that operators run it: with TLS, under Sentinels, as a cluster. Real servers, stopped when dropped.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use tempfile::TempDir;

use crate::{
    proxy::Proxy,
    redis_server::{RedisServer, free_port, signal, wait_longer, wait_until},
};

/// The name under which the tests' Sentinels know their primary.
pub(crate) const SERVICE: &str = "accounts";

/// All that the server's user must be allowed, and what doctor likes to ask; docs/operations.md shows it.
pub(crate) const ACL: &str = "~as:* +get +mget +set +setrange +del +exists +expire +ttl +pttl +incrby +hset +hget +hincrby \
    +hdel +time +wait +unwatch +script|load +evalsha +ping \
    +cluster|slots +asking +info +config|get";

/// A certificate authority, and certificates of a server on localhost and of a client.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    /// Those that all tests share: making keys takes time.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Certificates> = OnceLock::new();
        SHARED.get_or_init(Self::new)
    }

    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let openssl = |arguments: &str| {
            let mut command = Command::new("openssl");
            command.args(arguments.split(' ')).current_dir(directory.path());
            let output = command.stdin(Stdio::null()).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&format!("req -x509 {key} -days 30 -subj /CN=tests -keyout ca.key -out ca.pem"));
        std::fs::write(directory.path().join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1").unwrap();
        for name in ["server", "client"] {
            openssl(&format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
            let sign = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names";
            openssl(&format!("x509 -req -in {name}.csr {sign} -out {name}.pem"));
        }
        Self(directory)
    }

    pub(crate) fn path(&self, file: &str) -> String {
        self.0.path().join(file).to_str().unwrap().to_owned()
    }

    /// Of our server, with a client certificate.
    pub(crate) fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("REDIS_TLS_CA_FILE", self.path("ca.pem")),
            ("REDIS_TLS_CERT_FILE", self.path("client.pem")),
            ("REDIS_TLS_KEY_FILE", self.path("client.key")),
        ]
    }

    /// What a server is told: to want client certificates on the TLS port given.
    fn directives(&self, tls_port: u16) -> [(&'static str, String); 4] {
        [
            ("tls-port", tls_port.to_string()),
            ("tls-cert-file", self.path("server.pem")),
            ("tls-key-file", self.path("server.key")),
            ("tls-ca-cert-file", self.path("ca.pem")),
        ]
    }

    /// A Redis that wants client certificates on the TLS port given, and that speaks plainly on its other port.
    pub(crate) fn start_redis(&self, tls_port: u16) -> RedisServer {
        self.start_redis_at(free_port(), tls_port, &[])
    }

    pub(crate) fn start_redis_at(&self, port: u16, tls_port: u16, more: &[&str]) -> RedisServer {
        let mut arguments: Vec<String> = Vec::new();
        for (name, value) in self.directives(tls_port) {
            arguments.extend([format!("--{name}"), value]);
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        RedisServer::start_at(port, &arguments)
    }

    /// One Sentinel that speaks TLS only, with its clients and with the primary.
    pub(crate) fn start_sentinel(&self, tls_port: u16, primary: u16) -> LoneSentinel {
        let mut lines: Vec<_> =
            self.directives(tls_port).into_iter().map(|(name, value)| format!("{name} {value}")).collect();
        lines.push("tls-replication yes".to_owned());
        LoneSentinel::start(0, primary, &lines.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

pub(crate) struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A primary, two replicas and three Sentinels, who know each server only through a network that can be cut.
pub(crate) struct Sentinels {
    pub(crate) servers: Vec<RedisServer>,
    pub(crate) networks: Vec<Proxy>,
    ports: Vec<u16>,
    sentinels: Vec<Daemon>,
    _directory: TempDir,
}

/// At once instead of after seconds, as tests want it.
const REPLICATION: [&str; 6] =
    ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", "--repl-timeout", "3"];

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
        // A Sentinel that finds them there need not look again, which takes ten seconds.
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

    /// SIGKILL to the last ones, so that so many are left.
    pub(crate) fn keep_sentinels(&mut self, count: usize) {
        self.sentinels.truncate(count);
    }

    /// SIGSTOP to one of them.
    pub(crate) fn freeze_sentinel(&self, n: usize) {
        signal(self.sentinels[n].0.id(), "STOP");
    }

    /// Asks one of them.
    pub(crate) fn ask<T: redis::FromRedisValue>(&self, n: usize, words: &[&str]) -> redis::RedisResult<T> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.ports[n])).unwrap();
        let mut command = redis::cmd("SENTINEL");
        command.arg(words);
        command.query(&mut client.get_connection()?)
    }

    /// Which server all of them hold for the primary, once they agree.
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

    /// Waits until another one is the primary.
    pub(crate) fn wait_for_failover(&self, old: usize) -> usize {
        let mut primary = old;
        wait_until("there is another primary", || {
            primary = self.primary();
            primary != old
        });
        primary
    }

    /// All servers there, replicating, and known to each Sentinel.
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

/// Whether it is a replica that its primary's stream reaches.
fn follows(server: &RedisServer) -> bool {
    let info: Option<String> = server.try_command(&["INFO", "replication"]);
    info.is_some_and(|info| info.contains("role:slave") && info.contains("master_link_status:up"))
}

/// A Sentinel with nobody to agree with.
pub(crate) struct LoneSentinel {
    _daemon: Daemon,
    _directory: TempDir,
}

impl LoneSentinel {
    pub(crate) fn start(port: u16, primary: u16, more: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { _daemon: sentinel(directory.path(), port, primary, 1, more), _directory: directory }
    }
}

fn sentinel(directory: &Path, port: u16, primary: u16, quorum: u32, more: &[&str]) -> Daemon {
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
    Daemon(command.spawn().unwrap())
}

/// Three primaries and three replicas; clients and replication reach each only through a network that can be cut, while
/// nodes still hear each other.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<RedisServer>,
    pub(crate) networks: Vec<Proxy>,
}

impl Cluster {
    pub(crate) fn start(more: &[&str]) -> Self {
        let (mut servers, mut networks) = (Vec::new(), Vec::new());
        for _ in 0..6 {
            let port = free_port_of_a_node();
            let network = Proxy::start(port);
            let (announced, bus) = (network.port().to_string(), (port + 10_000).to_string());
            let mut arguments = vec!["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
            arguments.extend(["--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", &announced]);
            arguments.extend(["--cluster-announce-bus-port", &bus]);
            arguments.extend(REPLICATION.iter().chain(more));
            servers.push(RedisServer::start_at(port, &arguments));
            networks.push(network);
        }
        let nodes = servers.iter().map(|server| format!("127.0.0.1:{}", server.port()));
        let mut command = Command::new("redis-cli");
        command.args(["--cluster", "create"]).args(nodes).args(["--cluster-replicas", "1", "--cluster-yes"]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let cluster = Self { servers, networks };
        wait_until("the cluster is whole", || cluster.is_whole());
        cluster
    }

    pub(crate) fn url(&self) -> String {
        let hosts: Vec<_> = self.networks.iter().map(|network| format!("127.0.0.1:{}", network.port())).collect();
        format!("redis+cluster://{}", hosts[..3].join(","))
    }

    /// Six servers, each knows all of them to be well, and each primary has a replica that follows.
    pub(crate) fn is_whole(&self) -> bool {
        let well = |server: &RedisServer| {
            let info: Option<String> = server.try_command(&["CLUSTER", "INFO"]);
            let nodes: Option<String> = server.try_command(&["CLUSTER", "NODES"]);
            let replication: Option<String> = server.try_command(&["INFO", "replication"]);
            info.is_some_and(|info| info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6"))
                && nodes.is_some_and(|nodes| !nodes.contains("fail"))
                && replication
                    .is_some_and(|text| text.contains("connected_slaves:1") || text.contains("master_link_status:up"))
        };
        self.servers.iter().all(well)
    }

    /// Waits until the replica of the owner of `key`'s slot has what was written.
    pub(crate) fn wait_for_replica(&self, key: &str) {
        let mut connection = self.servers[self.owner(0, key)].connect();
        let set = redis::cmd("SET").arg(&[key, "1"]).arg(&["EX", "60"]).clone();
        let () = set.query(&mut connection).unwrap();
        assert_eq!(redis::cmd("WAIT").arg(&[1, 5_000]).query::<u32>(&mut connection).unwrap(), 1);
    }

    /// The server that has the slot of `key`, as `asked` knows it.
    pub(crate) fn owner(&self, asked: usize, key: &str) -> usize {
        let slot: u16 = self.servers[asked].command(&["CLUSTER", "KEYSLOT", key]);
        self.owner_of_slot(asked, slot).unwrap()
    }

    fn owner_of_slot(&self, asked: usize, slot: u16) -> Option<usize> {
        type Row = (u16, u16, (String, u16));
        let rows: Vec<Vec<redis::Value>> = self.servers[asked].try_command(&["CLUSTER", "SLOTS"])?;
        let rows = rows.into_iter().map(|row| {
            let primary = row[2].clone().into_sequence().unwrap().into_iter().take(2).collect();
            let row = vec![row[0].clone(), row[1].clone(), redis::Value::Array(primary)];
            redis::from_redis_value::<Row>(redis::Value::Array(row)).unwrap()
        });
        let (_, _, (_, port)) = rows.into_iter().find(|(first, last, _)| (*first..=*last).contains(&slot))?;
        self.networks.iter().position(|network| network.port() == port)
    }

    /// The replica of a primary, as the primary knows it: once the news of it has come there.
    pub(crate) fn replica_of(&self, primary: usize) -> usize {
        let id: String = self.servers[primary].command(&["CLUSTER", "MYID"]);
        let mut replicas: Vec<String> = Vec::new();
        wait_until("the primary knows its replica", || {
            replicas = self.servers[primary].command(&["CLUSTER", "REPLICAS", &id]);
            !replicas.is_empty()
        });
        self.networks.iter().position(|network| replicas[0].contains(&format!(":{}@", network.port()))).unwrap()
    }

    /// Waits until somebody else has the slot of `key`, as those that are left know it.
    pub(crate) fn wait_for_failover(&self, old: usize, key: &str) -> usize {
        let asked = (0..6).find(|n| *n != old && self.servers[*n].is_running()).unwrap();
        let slot: u16 = self.servers[asked].command(&["CLUSTER", "KEYSLOT", key]);
        let mut owner = old;
        wait_until("the slot has another owner", || {
            owner = self.owner_of_slot(asked, slot).unwrap_or(old);
            owner != old
        });
        owner
    }
}

/// Nodes talk to each other on a port 10,000 above.
pub(crate) fn free_port_of_a_node() -> u16 {
    loop {
        let port = free_port();
        if std::net::TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

/// What `TEST_TOPOLOGY` names, on which the tests of every store then run; a single Redis with a user of the least
/// privileges if unset.
pub(crate) enum Shared {
    Single(RedisServer),
    Tls { _redis: RedisServer, port: u16 },
    Sentinel(Sentinels),
    Cluster(Cluster),
}

impl Shared {
    /// For the names of tests.
    pub(crate) fn name() -> &'static str {
        match std::env::var("TEST_TOPOLOGY").as_deref() {
            Ok("tls") => "tls",
            Ok("sentinel") => "sentinel",
            Ok("cluster") => "cluster",
            Ok(other) => panic!("TEST_TOPOLOGY={other}: it is tls, sentinel or cluster"),
            Err(_) => "redis",
        }
    }

    pub(crate) fn start() -> Self {
        match Self::name() {
            "tls" => {
                let port = free_port();
                Self::Tls { _redis: Certificates::shared().start_redis(port), port }
            }
            "sentinel" => Self::Sentinel(Sentinels::start()),
            "cluster" => Self::Cluster(Cluster::start(&[])),
            _ => {
                let redis = RedisServer::start(&[]);
                let words = ["ACL", "SETUSER", "server", "on", ">secret"].into_iter().chain(ACL.split(' '));
                let () = redis.command(&words.collect::<Vec<_>>());
                Self::Single(redis)
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Single(redis) => redis.url().replace("redis://", "redis://server:secret@"),
            Self::Tls { port, .. } => format!("rediss://localhost:{port}"),
            Self::Sentinel(sentinels) => sentinels.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }
}
