//! A Redis server, a store on it, and an account.

use std::{
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use auth_service_records::{
    clock::Clock,
    revocation::StreamId,
    session::{NewSession, Origin, Page, Refreshed, Renewed, SessionPolicy, Successor},
    throttle::KnownAddresses,
    user::{Email, User},
};
use auth_service_store::{
    Store, StoredUser,
    backend::Backend,
    settings::{RedisSettings, StoreSettings},
};
use auth_service_token::Id;
use redis::FromRedisValue;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) const POLICY: SessionPolicy = SessionPolicy {
    access_seconds: 60,
    refresh_seconds: 120,
    rotation: false,
    grace_seconds: 10,
    max_age_seconds: None,
    max_sessions: 100,
};

pub(crate) const EMAIL: &str = "ada.lovelace@example.com";

/// A Redis server that listens on a Unix socket in its own directory, so that tests cannot compete for a port.
pub(crate) struct Server {
    process: Child,
    _directory: TempDir,
}

impl Server {
    /// Starts a server in `directory`. Its [`url`] is known before the start.
    pub(crate) fn start(directory: TempDir) -> Self {
        let socket = socket(&directory);
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--rdbcompression", "no", "--unixsocket"])
            .arg(&socket)
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not listen");
            sleep(Duration::from_millis(5));
        }
        Self { process, _directory: directory }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn socket(directory: &TempDir) -> PathBuf {
    directory.path().join("redis.sock")
}

/// The address of the server that starts in `directory`.
pub(crate) fn url(directory: &TempDir) -> String {
    format!("unix://{}", socket(directory).display())
}

/// A store on the server at `url`. The server may start later.
pub(crate) async fn connect(url: &str, policy: SessionPolicy, clock: Clock) -> Store {
    Backend::open(&StoreSettings::Redis(RedisSettings::at(url).into()), policy, clock).unwrap().connect().await
}

/// Waits until the store has reached the server. On a busy machine, the first attempt to connect may take too long.
pub(crate) async fn wait_for(store: &Store) {
    while store.find_user(id()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A store with one account, whose keys have the tag `tag`.
pub(crate) struct Scene {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) tag: Id,
    url: String,
    client: redis::Client,
    _server: Server,
}

impl Scene {
    /// Creates the account.
    pub(crate) async fn new(policy: SessionPolicy) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = url(&directory);
        let server = Server::start(directory);
        let client = redis::Client::open(url.as_str()).unwrap();
        let clock = Clock::new();
        let store = connect(&url, policy, clock.clone()).await;
        wait_for(&store).await;
        let tag = Email::parse(EMAIL).unwrap().tag();
        let scene = Self { store, clock, tag, url, client, _server: server };
        assert!(scene.store.create_user(tag, &user()).await.unwrap());
        scene
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// The socket of the server.
    pub(crate) fn socket(&self) -> PathBuf {
        self.url.trim_start_matches("unix://").into()
    }

    pub(crate) fn connection(&self) -> redis::Connection {
        self.client.get_connection().unwrap()
    }

    /// Runs a command on the server.
    pub(crate) fn redis<T: FromRedisValue>(&self, words: &[&str]) -> T {
        redis::cmd(words[0]).arg(&words[1..]).query(&mut self.connection()).unwrap()
    }

    pub(crate) fn key(&self, kind: &str) -> String {
        format!("as:{{{}}}:{kind}", self.tag)
    }

    pub(crate) fn access(&self, sid: Id) -> String {
        self.key(&format!("a:{sid}"))
    }

    pub(crate) fn refresh_key(&self, sid: Id) -> String {
        self.key(&format!("r:{sid}"))
    }

    /// The part of each key of the user after the tag, sorted.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let prefix = self.key("");
        let keys: Vec<String> = self.redis(&["KEYS", "as:{*"]);
        let mut kinds: Vec<_> = keys.iter().map(|key| key.strip_prefix(&prefix).unwrap().to_owned()).collect();
        kinds.sort_unstable();
        kinds
    }

    /// The TTL of a key in whole seconds, rounded up; -1 for a key without a TTL, -2 for a missing key.
    pub(crate) fn ttl(&self, key: &str) -> i64 {
        let millis: i64 = self.redis(&["PTTL", key]);
        if millis < 0 { millis } else { (millis + 999) / 1_000 }
    }

    /// Sets the TTL of a key.
    pub(crate) fn expire(&self, key: &str, seconds: u64) {
        assert_eq!(self.redis::<u8>(&["EXPIRE", key, &seconds.to_string()]), 1, "{key}");
    }

    pub(crate) async fn find(&self) -> StoredUser {
        self.store.find_user(self.tag).await.unwrap().unwrap()
    }

    /// Opens a session whose refresh token has the same id as the session.
    pub(crate) async fn sign_in(&self) -> Id {
        let session = session();
        assert!(self.store.open_session(self.tag, &self.find().await, None, &session, None).await.unwrap().is_some());
        session.sid
    }

    pub(crate) async fn lives(&self, sid: Id) -> bool {
        self.store.check_access(self.tag, sid).await.unwrap().is_some()
    }

    pub(crate) async fn refresh(&self, sid: Id, refresh_id: Id, next_id: Option<Id>) -> Refreshed {
        match self.store.refresh(self.tag, sid, refresh_id, next_id).await.unwrap() {
            Refreshed::Live { access_seconds, epoch, successor } => {
                assert_eq!(self.epoch(), Some(epoch));
                refreshed(access_seconds, successor)
            }
            ended => ended,
        }
    }

    pub(crate) async fn renew(&self, sid: Id, refresh_id: Id) -> Renewed {
        match self.store.renew(self.tag, sid, refresh_id).await.unwrap() {
            Renewed::Live { access_seconds, epoch } => {
                assert_eq!(self.epoch(), Some(epoch));
                renewed(access_seconds)
            }
            ended => ended,
        }
    }

    /// The user's epoch.
    pub(crate) fn epoch(&self) -> Option<Id> {
        let entry: Option<Vec<u8>> = self.redis(&["GET", &self.key("e")]);
        let entry: Value = serde_json::from_slice(&entry?).unwrap();
        Id::parse(entry["epoch"].as_str().unwrap())
    }

    /// All ids in the feed of revocations, oldest first.
    pub(crate) async fn revoked(&self) -> Vec<String> {
        let feed = self.store.revocations(StreamId::default()).await.unwrap();
        feed.into_iter().flat_map(|entry| entry.revoked).collect()
    }

    pub(crate) async fn listed(&self, after: Option<Id>, limit: usize) -> Vec<Id> {
        let page = Page { after, limit };
        let sessions = self.store.list_sessions(self.tag, None, page).await.unwrap().unwrap();
        sessions.into_iter().map(|session| session.sid).collect()
    }
}

pub(crate) fn id() -> Id {
    Id::random().unwrap()
}

pub(crate) fn user() -> User {
    let mut known_addresses = KnownAddresses::default();
    known_addresses.remember(known_address(), 1_795_852_800);
    User {
        id: Uuid::from_u128(0x5a),
        email: EMAIL.to_owned(),
        created_at: 1_795_852_800,
        password_hash: format!("$argon2id$v=19$m=19456,t=2,p=1${}${}", "s".repeat(22), "h".repeat(43)),
        known_addresses,
        password_change: None,
        email_verified_at: None,
        totp: None,
    }
}

/// The address that the account knows.
pub(crate) fn known_address() -> Id {
    Id::digest(b"known")
}

/// A session whose refresh token has the same id as the session.
pub(crate) fn session() -> NewSession {
    let sid = id();
    let origin = Origin { ip: "192.0.2.1".to_owned(), user_agent: "curl/8.5.0".to_owned() };
    NewSession { sid, epoch: id(), refresh_id: sid, origin }
}

/// The epoch in the results of the scene, whose calls have compared the real one.
fn any_epoch() -> Id {
    Id::digest(b"any epoch")
}

/// A refresh that the session survives.
pub(crate) fn refreshed(access_seconds: u64, successor: Option<Successor>) -> Refreshed {
    Refreshed::Live { access_seconds, epoch: any_epoch(), successor }
}

/// A renewal that the session survives.
pub(crate) fn renewed(access_seconds: u64) -> Renewed {
    Renewed::Live { access_seconds, epoch: any_epoch() }
}
