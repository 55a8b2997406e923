//! HAProxy with the shipped configuration, in front of replicas.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    thread,
};

use crate::support::{
    Answer, NameServer, Process, RedisServer, TestApp, Turn, alone, free_port, program, raw, wait_until,
};

/// HAProxy, Redis, a name server, and replicas at 127.0.0.1, 127.0.0.2 and so on, all on the same port.
pub(super) struct Site {
    pub(super) port: u16,
    replica_port: u16,
    _haproxy: Process,
    pub(super) log: Arc<Mutex<Vec<String>>>,
    names: NameServer,
    pub(super) redis: RedisServer,
    pub(super) replicas: Vec<(Ipv4Addr, TestApp)>,
    /// The tests fail if a request is late, so no other test may load the machine.
    _turn: Turn,
}

impl Site {
    pub(super) fn start(replicas: u8) -> Self {
        Self::start_with(alone(), replicas, &[])
    }

    /// `settings` are for HAProxy.
    pub(super) fn start_with(turn: Turn, replicas: u8, settings: &[(&str, &str)]) -> Self {
        let (names, port, replica_port) = (NameServer::start(), free_port(), free_port());
        let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/haproxy/haproxy.cfg");
        let mut command = program("haproxy");
        command
            .args(["-db", "-f"])
            .arg(configuration)
            .env("BIND", format!("127.0.0.1:{port},[::1]:{port}"))
            .env("RESOLVER", names.address().to_string())
            .env("REPLICAS", format!("server:{replica_port}"))
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut haproxy = Process::start(command);
        wait_until("HAProxy listens", || {
            assert!(haproxy.status().is_none(), "HAProxy has ended");
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (lines, sink) = (BufReader::new(haproxy.child().stdout.take().unwrap()).lines(), Arc::clone(&log));
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| sink.lock().unwrap().push(line)));
        let redis = RedisServer::start(&["--appendonly", "yes"]);
        let mut site =
            Self { port, replica_port, _haproxy: haproxy, log, names, redis, replicas: Vec::new(), _turn: turn };
        for n in 1..=replicas {
            site.start_replica(Ipv4Addr::new(127, 0, 0, n));
        }
        site
    }

    /// Starts a replica, and waits until the load balancer sends requests to it.
    pub(super) fn start_replica(&mut self, address: Ipv4Addr) {
        self.start_replica_with(address, &[]);
    }

    /// Like [`Site::start_replica`], with more settings.
    pub(super) fn start_replica_with(&mut self, address: Ipv4Addr, more: &[(&str, &str)]) {
        let (host, port) = (address.to_string(), self.replica_port.to_string());
        // The delay is the default of the server.
        let settings =
            [("HOST", &*host), ("PORT", &port), ("TRUSTED_PROXIES", "127.0.0.1"), ("SHUTDOWN_DELAY_SECONDS", "1")];
        let replica = TestApp::start_on(&self.redis.url(), &[&settings, more].concat());
        self.names.add(address);
        let not_found = raw::request("GET", "/nowhere", &[], None);
        wait_until("the load balancer uses the new replica", || {
            raw::exchange(self.port, &not_found);
            replica.log().iter().any(|line| line["route"] == "unmatched")
        });
        self.replicas.push((address, replica));
    }

    /// Stops a replica as an orchestrator does: sends SIGTERM, and removes the address from DNS when the replica has
    /// ended.
    pub(super) fn stop_replica(&mut self, n: usize) -> Ipv4Addr {
        let (address, mut replica) = self.replicas.remove(n);
        replica.terminate();
        assert!(replica.wait().success());
        self.names.remove(address);
        address
    }

    pub(super) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        raw::exchange(self.port, &raw::request(method, path, headers, body)).unwrap()
    }
}
