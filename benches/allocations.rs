//! `cargo bench --bench allocations` counts the allocations of a request in the service and the layers below it,
//! including the log line.
//!
//! The count is exact, so a single extra allocation shows. The count excludes hyper, whose buffers live as long as a
//! connection. Run it as `cargo bench --bench allocations >/dev/null`.

#![expect(clippy::unwrap_used, reason = "a benchmark panics at the step that fails")]

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use auth_service::{
    audit::{self, Audit},
    auth::{Auth, Parts, RevocationFeed},
    config::{ClientAddressHeader, Config, LogFormat, Sources, TokenRemoval},
    http::{self, App, AppState, OpenApi, Phase, Proxies, Service},
    log::{self, Log},
};
use auth_service_password::{HashCost, Passwords, Rules, Settings};
use auth_service_records::{
    clock::Clock,
    secret::{Secret, Secrets},
    session::{NewSession, Origin, SessionPolicy},
    throttle::KnownAddresses,
    user::{Email, User},
};
use auth_service_store::{
    backend::Backend,
    settings::{RedisSettings, StoreSettings},
};
use auth_service_token::{Amr, Claims, Id};
use axum::{body::Body, http::Request};
use http_body_util::BodyExt;
use tokio::{runtime, sync::watch};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const REQUESTS: u64 = 1_000;
const HASHING: Settings = Settings {
    cost: HashCost { memory_kib: 64, iterations: 1, parallelism: 1 },
    rules: Rules { min_score: 0, breached: None },
    threads: 1,
    deadline: Duration::from_secs(1),
};
const POLICY: SessionPolicy = SessionPolicy {
    access_seconds: 600,
    refresh_seconds: 1_200,
    rotation: false,
    grace_seconds: 10,
    max_age_seconds: None,
    max_sessions: 100,
};

/// The service of a server, with a user who has signed in.
struct Scene {
    service: Service,
    access_token: String,
    refresh_token: String,
}

fn user(now: u64) -> User {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    User {
        id: Uuid::new_v4(),
        email: "ada@example.com".to_owned(),
        created_at: now,
        password_hash: hash.to_owned(),
        known_addresses: KnownAddresses::default(),
        password_change: None,
        email_verified_at: None,
        totp: None,
    }
}

/// The default settings.
fn app(auth: Auth) -> App {
    let (config, _) = Config::load(&Sources::new(HashMap::new())).unwrap();
    App {
        auth,
        password_min_length: 6,
        token_removal: TokenRemoval::Open,
        request_timeout: Duration::from_secs(2),
        cors: None,
        resource_servers: Arc::default(),
        metadata: None,
        openapi: Arc::new(OpenApi::new(&config)),
        docs: true,
        proxies: Arc::new(Proxies::new(Vec::new(), ClientAddressHeader::XForwardedFor)),
        health: Arc::default(),
        metrics: http::Metrics::default(),
        tracer: None,
        phase: watch::channel(Phase::Serving).1,
    }
}

impl Scene {
    async fn new(store: &StoreSettings, log: &Log) -> Self {
        let clock = Clock::new();
        let store = Backend::open(store, POLICY, clock.clone()).ok().unwrap().connect().await;
        let secret = |character: &str| Secret::new(character.repeat(32));
        let (access, refresh) = (secret("1"), secret("2"));
        let secrets = Secrets { access, refresh, access_previous: None, refresh_previous: None };
        let tokens = Arc::new(secrets.tokens());
        let random = || Id::random().unwrap();
        let user = user(clock.now_seconds());
        let (id, tag, now) = (user.id, Email::parse(&user.email).unwrap().tag(), user.created_at);
        store.create_user(tag, &user).await.unwrap();
        let stored = store.find_user(tag).await.unwrap().unwrap();
        let origin = Origin { ip: "127.0.0.1".to_owned(), user_agent: "curl/7.88.1".to_owned() };
        let session = NewSession { sid: random(), epoch: random(), refresh_id: random(), origin };
        assert!(store.open_session(tag, &stored, None, &session, None).await.unwrap().is_some());
        let access = Claims {
            sid: session.sid,
            jti: random(),
            iat: now,
            exp: now + POLICY.access_seconds,
            amr: Amr::PASSWORD,
            auth_time: Some(now),
            ..Claims::of(id, tag)
        };
        let access_token = tokens.access.issue(&access).unwrap();
        let refresh_token =
            tokens.refresh.issue(&Claims { jti: session.refresh_id, exp: now + POLICY.refresh_seconds, ..access });
        let audit = Audit { emails: false, trail: log.trail(), metrics: audit::Metrics::default() };
        let parts = Parts {
            tokens,
            factor_keys: Arc::new(secrets.factor_keys()),
            passwords: Passwords::start(HASHING).unwrap(),
            policy: POLICY,
            address_limit: 100,
            signup_limit_per_hour: 0,
            mails: None,
            revocations: RevocationFeed::new(POLICY.access_seconds),
            audit,
            webhooks: None,
            clock,
        };
        let service = http::service(AppState::new(app(Auth::new(store, parts))));
        Self { service, access_token, refresh_token }
    }

    fn get_user(&self) -> Request<Body> {
        let request = Request::get("/user").header("Host", "localhost");
        request.header("Authorization", format!("Bearer {}", self.access_token)).body(Body::empty()).unwrap()
    }

    fn refresh(&self) -> Request<Body> {
        let request = Request::post("/refresh-access-token").header("Host", "localhost");
        let body = format!(r#"{{"refresh_token": "{}"}}"#, self.refresh_token);
        request.header("Content-Type", "application/json").body(Body::from(body)).unwrap()
    }

    /// The allocations and bytes of a request, without the allocations that create the request.
    async fn count(&mut self, request: impl Fn(&Self) -> Request<Body>) -> (f64, f64) {
        let requests: Vec<_> = (0..REQUESTS + 10).map(|_| request(self)).collect();
        let mut before = None;
        for (n, request) in (0..).zip(requests) {
            // The first requests set up buffers that later requests reuse.
            if n == 10 {
                before = Some(dhat::HeapStats::get());
            }
            let response = self.service.answer(PEER, request).await;
            assert_eq!(response.status(), 200);
            response.into_body().collect().await.unwrap();
        }
        let (before, after) = (before.unwrap(), dhat::HeapStats::get());
        let each = |before: u64, after: u64| (after - before) as f64 / REQUESTS as f64;
        (each(before.total_blocks, after.total_blocks), each(before.total_bytes, after.total_bytes))
    }
}

fn main() {
    // The log lines of the server go to standard output, so the table goes to standard error.
    let log = log::start(Some(LogFormat::Json), None).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let embedded = StoreSettings::Embedded { directory: directory.path().join("data") };
    let (redis, _server) = redis(directory.path());
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _profiler = dhat::Profiler::builder().testing().build();
    eprintln!("| request | store | allocations | bytes |\n|---|---|---|---|");
    for (name, store) in [("Redis", redis), ("embedded", embedded)] {
        runtime.block_on(async {
            let mut scene = Scene::new(&store, &log).await;
            let print =
                |what: &str, (blocks, bytes): (f64, f64)| eprintln!("| {what} | {name} | {blocks:.1} | {bytes:.0} |");
            print("GET /user", scene.count(Scene::get_user).await);
            print("POST /refresh-access-token", scene.count(Scene::refresh).await);
        });
    }
}

/// A server that is stopped when this value is dropped.
struct Stopped(std::process::Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        // The server may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn redis(directory: &std::path::Path) -> (StoreSettings, Stopped) {
    let socket = directory.join("redis.sock");
    let mut command = std::process::Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--unixsocket"]).arg(&socket).stdout(std::process::Stdio::null());
    let server = Stopped(command.spawn().unwrap());
    let url = format!("unix://{}", socket.display());
    while redis::Client::open(url.as_str()).unwrap().get_connection().is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    (StoreSettings::Redis(RedisSettings::at(&url).into()), server)
}
