//! Three replicas behind nginx, Caddy, Traefik and Envoy, with the configurations in `deploy/`.

use std::net::Ipv4Addr;

use rstest::rstest;
use serde_json::json;
use tempfile::TempDir;

use super::proxy_programs::Proxy;
use crate::support::{
    Answer, Connection, Load, PASSWORD, Process, RedisServer, TestApp, Turn, alone, free_port, not_beside_load, raw,
    unique_email, wait_until,
};

const REPLICAS: usize = 3;

/// The shipped files of a proxy.
fn files(proxy: Proxy) -> &'static [&'static str] {
    match proxy {
        Proxy::Nginx => &["nginx/auth-service.conf"],
        Proxy::Caddy => &["caddy/Caddyfile"],
        Proxy::Traefik => &["traefik/traefik.yaml", "traefik/dynamic.yaml"],
        Proxy::Envoy => &["envoy/envoy.yaml"],
        Proxy::Haproxy => &["haproxy/haproxy.cfg"],
    }
}

/// The status and the code of the proxy's answer when no replica is ready. Traefik's own errors are plain text.
fn own_error(proxy: Proxy) -> (u16, Option<&'static str>) {
    match proxy {
        Proxy::Nginx => (502, Some("server_lost")),
        Proxy::Caddy | Proxy::Envoy | Proxy::Haproxy => (503, Some("no_server_ready")),
        Proxy::Traefik => (503, None),
    }
}

/// A proxy, Redis, and the replicas, all on ports of the test.
struct Site {
    port: u16,
    replica_ports: [u16; REPLICAS],
    _proxy: Process,
    redis: RedisServer,
    replicas: [Option<TestApp>; REPLICAS],
    _directory: TempDir,
    /// The tests fail if a request is late.
    _turn: Turn,
}

impl Site {
    /// A site without a replica.
    fn start(turn: Turn, proxy: Proxy) -> Self {
        let (port, replica_ports) = (free_port(), [(); REPLICAS].map(|()| free_port()));
        let directory = tempfile::tempdir().unwrap();
        let ports =
            [("3000", port), ("3001", replica_ports[0]), ("3002", replica_ports[1]), ("3003", replica_ports[2])];
        let process = proxy.start(directory.path(), files(proxy), &ports);
        Self {
            port,
            replica_ports,
            _proxy: process,
            redis: RedisServer::start(&["--appendonly", "yes"]),
            replicas: [const { None }; REPLICAS],
            _directory: directory,
            _turn: turn,
        }
    }

    /// Starts a replica, and waits until the proxy sends requests to it.
    fn start_replica(&mut self, n: usize, settings: &[(&str, &str)]) {
        let port = self.replica_ports[n].to_string();
        // The default of the server.
        let fixed = [("PORT", &*port), ("TRUSTED_PROXIES", "127.0.0.1"), ("SHUTDOWN_DELAY_SECONDS", "1")];
        let replica = TestApp::start_on(&self.redis.url(), &[&fixed, settings].concat());
        wait_until("the proxy uses the new replica", || {
            raw::exchange(self.port, &raw::request("GET", "/nowhere", &[], None));
            replica.log().iter().any(|line| line["route"] == "unmatched")
        });
        self.replicas[n] = Some(replica);
    }

    /// Stops a replica as an orchestrator does.
    fn stop_replica(&mut self, n: usize) {
        let mut replica = self.replicas[n].take().unwrap();
        replica.terminate();
        assert!(replica.wait().success());
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        raw::exchange(self.port, &raw::request(method, path, headers, body)).unwrap()
    }
}

#[rstest]
fn restarting_all_replicas_behind_another_proxy_fails_no_request(
    #[values(Proxy::Nginx, Proxy::Caddy, Proxy::Traefik, Proxy::Envoy)] proxy: Proxy,
) {
    let mut site = Site::start(alone(), proxy);
    for n in 0..REPLICAS {
        site.start_replica(n, &[]);
    }
    let load = Load::start(site.port);
    for n in 0..REPLICAS {
        site.stop_replica(n);
        site.start_replica(n, &[]);
        load.wait_for_more();
    }
    let report = load.stop();
    eprintln!("rolling restart behind {proxy:?}: {report}");
    report.assert_none_failed();
}

/// Through the proxy, a replica answers as without it. The replica waits for replicas of Redis that do not exist, so it
/// answers a sign-up with 503.
#[rstest]
fn another_proxy_changes_no_request_and_no_answer(
    #[values(Proxy::Nginx, Proxy::Caddy, Proxy::Traefik, Proxy::Envoy)] proxy: Proxy,
) {
    let mut site = Site::start(not_beside_load(), proxy);
    let direct = TestApp::start_on(&site.redis.url(), &[]);
    let session = direct.new_session();
    site.start_replica(0, &[("REDIS_WAIT_REPLICAS", "1"), ("REDIS_WAIT_TIMEOUT_MS", "50")]);
    let json = ("Content-Type", "application/json");
    let account = json!({"email": session.email, "password": PASSWORD}).to_string();

    let forged = [("X-Forwarded-For", "203.0.113.7"), ("Forwarded", "for=203.0.113.7")];
    let headers = [&[json, ("X-Request-Id", "a.B-1")], &forged[..]].concat();
    let mut client = Connection::open_from(Ipv4Addr::new(127, 0, 0, 5), site.port);
    client.write(&raw::request("GET", "/authenticate", &headers, Some(&account))).unwrap();
    let answer = client.read().unwrap();
    assert_eq!((answer.status, answer.header("x-request-id")), (200, Some("a.B-1")), "{answer:?}");
    let access_token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let sessions = site.send("GET", "/sessions", &[("Authorization", &access_token)], None).json();
    assert_eq!(sessions["data"][0]["ip"], "127.0.0.5", "{sessions}");

    let refused = site.send("GET", "/user", &[("Authorization", "Bearer forged")], None);
    refused.assert_error(401, "invalid_token");
    assert!(refused.header("www-authenticate").unwrap().contains("invalid_token"), "{refused:?}");
    site.send("GET", "/nowhere", &[], None).assert_error(404, "route_not_found");
    let new = json!({"email": unique_email(), "password": PASSWORD}).to_string();
    site.send("POST", "/signup", &[json], Some(&new)).assert_error(503, "not_replicated");
    let large = format!("{{\"email\": \"{}\"}}", "x".repeat(20_000));
    site.send("POST", "/signup", &[json], Some(&large)).assert_error(413, "body_too_large");
    let removal = json!({"email": session.email}).to_string();
    let own = [json, ("Authorization", access_token.as_str())];
    assert_eq!(site.send("GET", "/user", &own, Some(&removal)).status, 200);
    site.send("DELETE", "/access-token", &own, Some(&removal)).assert_error(503, "not_replicated");

    site.stop_replica(0);
    let (status, code) = own_error(proxy);
    wait_until("the proxy finds no replica", || site.send("GET", "/user", &[], None).status == status);
    if let Some(code) = code {
        site.send("GET", "/user", &[], None).assert_error(status, code);
    }
}
