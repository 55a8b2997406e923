//! The recipes in `deploy/forward-auth/`: each proxy asks auth-service before it passes a request on to an application.

mod application;
mod identity;
mod outages;
mod requests;

use std::{sync::Mutex, thread};

use serde_json::Value;
use tempfile::TempDir;

use super::proxy_programs::Proxy;
use crate::support::{
    Answer, Connection, Process, RedisServer, Session, TestApp, Turn, free_port, not_beside_load, raw,
};

const PROXIES: [(Proxy, &[&str]); 5] = [
    (Proxy::Nginx, &["forward-auth/nginx/forward-auth.conf"]),
    (Proxy::Caddy, &["forward-auth/caddy/Caddyfile"]),
    (Proxy::Traefik, &["forward-auth/traefik/traefik.yaml", "forward-auth/traefik/dynamic.yaml"]),
    (Proxy::Envoy, &["forward-auth/envoy/envoy.yaml"]),
    (Proxy::Haproxy, &["forward-auth/haproxy/haproxy.cfg", "forward-auth/haproxy/forward-auth.lua"]),
];
const IDENTITY: [&str; 3] = ["x-user-id", "x-user-email", "x-session-id"];

/// A proxy with the shipped recipe.
struct Gateway {
    proxy: Proxy,
    port: u16,
    _process: Process,
    _directory: TempDir,
}

/// All proxies in front of one application and one auth-service.
struct Site {
    gateways: Vec<Gateway>,
    app: TestApp,
    redis: RedisServer,
    session: Session,
    _turn: Turn,
}

impl Site {
    fn start() -> Self {
        let turn = not_beside_load();
        let redis = RedisServer::start(&["--appendonly", "yes"]);
        let settings = [
            ("TRUSTED_PROXIES", "127.0.0.1"),
            ("ACCESS_TOKEN_TTL_SECONDS", "600"),
            ("REFRESH_TOKEN_TTL_SECONDS", "600"),
        ];
        let app = TestApp::start_on(&redis.url(), &settings);
        let session = app.new_session();
        let gateways = Mutex::new(Vec::new());
        let application = application::start();
        thread::scope(|scope| {
            for (proxy, files) in PROXIES {
                let (app, gateways) = (&app, &gateways);
                scope.spawn(move || {
                    let gateway = Gateway::start(proxy, files, app.port(), application);
                    gateways.lock().unwrap().push(gateway);
                });
            }
        });
        let gateways = gateways.into_inner().unwrap();
        Self { gateways, app, redis, session, _turn: turn }
    }

    /// Runs a check for all proxies at the same time.
    fn for_each(&self, check: impl Fn(&Gateway) + Sync) {
        thread::scope(|scope| {
            for gateway in &self.gateways {
                let check = &check;
                scope.spawn(move || check(gateway));
            }
        });
    }

    fn token(&self) -> [(&'static str, &str); 1] {
        [("Authorization", &self.session.access_token)]
    }
}

impl Gateway {
    fn start(proxy: Proxy, files: &[&str], auth_service: u16, application: u16) -> Self {
        let (port, directory) = (free_port(), tempfile::tempdir().unwrap());
        let ports = [("8080", port), ("8081", free_port()), ("3000", auth_service), ("9000", application)];
        let process = proxy.start(directory.path(), files, &ports);
        let gateway = Self { proxy, port, _process: process, _directory: directory };
        // Traefik listens before it has read its routers.
        crate::support::wait_until("the proxy has its routes", || gateway.get("/public/x", &[]).status == 200);
        gateway
    }

    fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let answer = raw::exchange(self.port, &raw::request(method, target, headers, body));
        answer.unwrap_or_else(|| panic!("{:?} gives no answer to {method} {target}", self.proxy))
    }

    fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", target, headers, None)
    }

    fn connect(&self) -> Connection {
        Connection::open(self.port)
    }

    /// What the application has received.
    #[track_caller]
    fn arrived(&self, answer: &Answer) -> Value {
        assert_eq!((answer.status, answer.header("x-application")), (200, Some("yes")), "{:?} {answer:?}", self.proxy);
        answer.json()
    }

    /// Asserts that the application got no request.
    #[track_caller]
    fn assert_refused(&self, answer: &Answer, status: u16) {
        assert_eq!((answer.status, answer.header("x-application")), (status, None), "{:?} {answer:?}", self.proxy);
        let leaked = answer.headers.iter().any(|(name, _)| IDENTITY.contains(&name.as_str()));
        assert!(!leaked, "{:?} {answer:?}", self.proxy);
        if status == 503 {
            assert_eq!(answer.header("retry-after"), Some("1"), "{:?} {answer:?}", self.proxy);
        }
    }
}

/// The values of a header that has arrived.
fn values<'a>(arrived: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = arrived["headers"].as_array().unwrap();
    headers.iter().filter(|header| header[0] == name).map(|header| header[1].as_str().unwrap()).collect()
}
