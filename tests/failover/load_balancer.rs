//! Replicas behind HAProxy with the shipped configuration: restarted, scaled and killed under steady load.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{
    Answer, Connection, Load, NameServer, PASSWORD, Process, RedisServer, TestApp, alone, free_port, kill_in_flight,
    new_session, program, raw, signal, unique_email, wait_until,
};

/// HAProxy, Redis, a name server, and replicas at 127.0.0.1, 127.0.0.2 and so on, all on the same port.
struct Site {
    port: u16,
    replica_port: u16,
    _haproxy: Process,
    log: Arc<Mutex<Vec<String>>>,
    names: NameServer,
    redis: RedisServer,
    replicas: Vec<(Ipv4Addr, TestApp)>,
    /// The tests fail if a request is late, so no other test may load the machine.
    _alone: MutexGuard<'static, ()>,
}

impl Site {
    fn start(replicas: u8) -> Self {
        let alone = alone();
        let (names, port, replica_port) = (NameServer::start(), free_port(), free_port());
        let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/haproxy/haproxy.cfg");
        let mut command = program("haproxy");
        command
            .args(["-db", "-f"])
            .arg(configuration)
            .env("BIND", format!("127.0.0.1:{port},[::1]:{port}"))
            .env("RESOLVER", names.address().to_string())
            .env("REPLICAS", format!("server:{replica_port}"))
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
            Self { port, replica_port, _haproxy: haproxy, log, names, redis, replicas: Vec::new(), _alone: alone };
        for n in 1..=replicas {
            site.start_replica(Ipv4Addr::new(127, 0, 0, n));
        }
        site
    }

    /// Starts a replica, and waits until the load balancer sends requests to it.
    fn start_replica(&mut self, address: Ipv4Addr) {
        let (host, port) = (address.to_string(), self.replica_port.to_string());
        let settings =
            [("HOST", &*host), ("PORT", &port), ("TRUSTED_PROXIES", "127.0.0.1"), ("SHUTDOWN_DELAY_SECONDS", "2")];
        let replica = TestApp::start_on(&self.redis.url(), &settings);
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
    fn stop_replica(&mut self, n: usize) -> Ipv4Addr {
        let (address, mut replica) = self.replicas.remove(n);
        replica.terminate();
        assert!(replica.wait().success());
        self.names.remove(address);
        address
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        raw::exchange(self.port, &raw::request(method, path, headers, body)).unwrap()
    }
}

#[test]
fn restarting_all_replicas_one_after_another_fails_no_request() {
    let mut site = Site::start(3);
    let load = Load::start(site.port);
    for _ in 0..3 {
        let address = site.stop_replica(0);
        site.start_replica(address);
        load.wait_for_more();
    }
    let report = load.stop();
    eprintln!("rolling restart: {report}");
    report.assert_none_failed();
}

#[test]
fn scaling_from_one_to_three_to_two_fails_no_request() {
    let mut site = Site::start(1);
    let load = Load::start(site.port);
    site.start_replica(Ipv4Addr::new(127, 0, 0, 2));
    site.start_replica(Ipv4Addr::new(127, 0, 0, 3));
    load.wait_for_more();
    site.stop_replica(0);
    load.wait_for_more();
    let report = load.stop();
    eprintln!("scaling 1, 3, 2: {report}");
    report.assert_none_failed();
}

#[test]
fn a_killed_replica_fails_only_requests_in_flight_that_must_not_be_repeated() {
    let mut site = Site::start(2);
    let replica = site.replicas.remove(0).1;
    let pid = replica.pid();
    kill_in_flight(site.port, || signal(pid, "STOP"), || drop(replica));
    Load::start(site.port).stop().assert_none_failed();
}

#[test]
fn a_restart_of_redis_gives_503_and_nothing_else() {
    let mut site = Site::start(2);
    let load = Load::start(site.port);
    site.redis.kill();
    load.wait_for_more();
    site.redis.restart();
    let ready = || site.send("GET", "/readyz", &[], None).status == 200;
    wait_until("the load balancer finds the replicas ready", ready);
    let report = load.stop();
    eprintln!("restart of Redis: {report}");
    let failures = report.failures();
    assert!(!failures.is_empty());
    assert!(failures.iter().all(|(_, status)| *status == Some(503)), "{failures:?}");
    Load::start(site.port).stop().assert_none_failed();
}

#[test]
fn a_full_store_keeps_token_checks_reachable() {
    let site = Site::start(2);
    let session = new_session(site.port);
    let () = site.redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let full = Instant::now();
    // The load balancer would remove a replica that is not ready within 1.1 s.
    while full.elapsed() < Duration::from_secs(4) {
        let answer = site.send("GET", "/user", &[("Authorization", &session.access_token)], None);
        assert_eq!(answer.status, 200, "{answer:?}");
        let account = json!({"email": unique_email(), "password": PASSWORD}).to_string();
        let answer = site.send("POST", "/signup", &[("Content-Type", "application/json")], Some(&account));
        answer.assert_error(503, "store_out_of_memory");
    }
}

#[test]
fn forged_headers_do_not_change_the_address_of_the_client() {
    let site = Site::start(1);
    let session = new_session(site.port);
    let account = json!({"email": session.email, "password": PASSWORD}).to_string();
    let forged =
        [("Content-Type", "application/json"), ("X-Forwarded-For", "203.0.113.7"), ("Forwarded", "for=203.0.113.7")];
    let mut connection = Connection::open_at(("::1", site.port)).unwrap();
    connection.write(&raw::request("POST", "/authenticate", &forged, Some(&account))).unwrap();
    let answer = connection.read().unwrap().json();
    let access_token = answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let sessions = site.send("GET", "/sessions", &[("Authorization", access_token)], None).json();
    let listed = sessions.to_string();
    assert!(!listed.contains("203.0.113.7"), "{sessions}");
    assert!(listed.contains(r#""ip":"::1""#), "{sessions}");
}

#[test]
fn a_get_request_with_a_body_passes_and_no_secret_is_logged() {
    let site = Site::start(1);
    let session = new_session(site.port);
    let account = json!({"email": session.email, "password": PASSWORD}).to_string();
    let json = ("Content-Type", "application/json");
    let answer = site.send("GET", "/authenticate", &[json, ("X-Request-Id", "first-1")], Some(&account));
    assert_eq!((answer.status, answer.header("x-request-id")), (200, Some("first-1")), "{answer:?}");
    let in_url = format!("/user?token={}", session.access_token);
    assert_eq!(site.send("GET", &in_url, &[("X-Request-Id", "last-1")], None).status, 400);
    wait_until("both requests are logged", || {
        let log = site.log.lock().unwrap().join("\n");
        log.contains("first-1") && log.contains("last-1")
    });
    let log = site.log.lock().unwrap().join("\n");
    for secret in [PASSWORD, &session.email, &session.access_token, &session.refresh_token] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn without_a_replica_the_answer_is_503_in_the_form_of_the_api() {
    let mut site = Site::start(1);
    site.stop_replica(0);
    let answer = site.send("GET", "/user", &[("X-Request-Id", "mine")], None);
    assert_eq!(answer.header("x-request-id"), Some("mine"), "{answer:?}");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    assert_eq!(answer.json()["code"], "no_server_ready");
}
