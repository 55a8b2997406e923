//! A store of each kind, opened through the library, and a user that no other test uses.

use std::{path::Path, sync::Arc};

use auth_service_records::{
    clock::Clock,
    error::Error,
    session::{NewSession, Origin, Outcome, Refreshed, SessionPolicy},
    throttle::KnownAddresses,
    user::User,
};
use auth_service_store::{
    Store, StoredUser,
    backend::Backend,
    settings::{PemFile, RedisSettings, StoreSettings, TlsFiles},
};
use auth_service_token::Id;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::support::{Certificates, Shared, Store as On};

pub(super) const LONG: SessionPolicy = policy(60, 120);

pub(super) const fn policy(access_seconds: u64, refresh_seconds: u64) -> SessionPolicy {
    SessionPolicy {
        access_seconds,
        refresh_seconds,
        rotation: false,
        grace_seconds: 10,
        max_age_seconds: None,
        max_sessions: 100,
    }
}

pub(super) struct Scene {
    runtime: Runtime,
    backend: Option<Backend>,
    store: Option<Arc<Store>>,
    settings: StoreSettings,
    pub(super) tag: Id,
    /// The files of the embedded store.
    _directory: tempfile::TempDir,
    /// The shared Redis.
    _shared: Option<Arc<Shared>>,
}

impl Scene {
    pub(super) fn new(store: On, policy: SessionPolicy) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let shared = (store == On::Redis).then(Shared::get);
        let settings = match &shared {
            Some(shared) => redis_settings(&shared.url()),
            None => embedded_settings(&directory.path().join("data")),
        };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let tag = Id::random().unwrap();
        let mut scene =
            Self { runtime, backend: None, store: None, settings, tag, _directory: directory, _shared: shared };
        scene.open(policy);
        scene
    }

    /// Closes the store and opens it again with this policy.
    pub(super) fn open(&mut self, policy: SessionPolicy) {
        self.store = None;
        self.backend = None;
        let backend = Backend::open(&self.settings, policy, Clock::new()).unwrap();
        assert!(matches!(self.runtime.block_on(backend.check()), Ok(None)));
        self.store = Some(Arc::new(self.runtime.block_on(backend.connect())));
        self.backend = Some(backend);
    }

    fn store(&self) -> Arc<Store> {
        Arc::clone(self.store.as_ref().unwrap())
    }

    #[track_caller]
    pub(super) fn run<T, F: Future<Output = Result<T, Error>>>(&self, operation: impl FnOnce(Arc<Store>) -> F) -> T {
        self.runtime.block_on(operation(self.store())).unwrap()
    }

    /// Runs operations that check their own answers.
    pub(super) fn block<T, F: Future<Output = T>>(&self, operations: impl FnOnce(Arc<Store>) -> F) -> T {
        self.runtime.block_on(operations(self.store()))
    }

    /// The stores of three replicas, each with its own connections. The embedded store has only one.
    pub(super) fn replicas(&self) -> [Arc<Store>; 3] {
        let connect = || Arc::new(self.runtime.block_on(self.backend.as_ref().unwrap().connect()));
        [connect(), connect(), connect()]
    }

    pub(super) fn create(&self, user: &User) -> bool {
        self.run(async |store| store.create_user(self.tag, user).await)
    }

    pub(super) fn find(&self) -> Option<StoredUser> {
        self.run(async |store| store.find_user(self.tag).await)
    }

    pub(super) fn open_session(&self, expected: &StoredUser, changed: Option<&User>, session: &NewSession) -> bool {
        self.run(async |store| store.open_session(self.tag, expected, changed, session, None).await).is_some()
    }

    pub(super) fn refresh(&self, sid: Id) -> bool {
        self.run(async |store| refresh(&store, self.tag, sid).await)
    }

    pub(super) fn remove(&self) -> bool {
        self.run(async |store| store.remove_tokens(self.tag, None).await) == Outcome::Done
    }

    pub(super) fn delete(&self, expected: &StoredUser) -> bool {
        self.run(async |store| store.delete_user(self.tag, expected, None).await) == Outcome::Done
    }

    /// Whether access tokens of the session are accepted.
    #[track_caller]
    pub(super) fn lives(&self, sid: Id) -> bool {
        self.run(async |store| store.check_access(self.tag, sid).await).is_some()
    }

    /// Opens a session of the account. Creates the account first, if it does not exist.
    pub(super) fn sign_in(&self) -> Id {
        self.create(&user());
        let session = session();
        assert!(self.open_session(&self.find().unwrap(), None, &session));
        session.sid
    }

    /// Runs an operation many times at once, and returns the answers in the order of the numbers.
    pub(super) fn at_once<F>(&self, times: usize, operation: impl Fn(Arc<Store>, usize) -> F) -> Vec<bool>
    where
        F: Future<Output = Result<bool, Error>> + Send + 'static,
    {
        self.runtime.block_on(async {
            let tasks: Vec<_> = (0..times).map(|n| tokio::spawn(operation(self.store(), n))).collect();
            let mut answers = Vec::new();
            for task in tasks {
                answers.push(task.await.unwrap().unwrap());
            }
            answers
        })
    }
}

fn redis_settings(url: &str) -> StoreSettings {
    let tls = url.starts_with("rediss").then(|| {
        let certificates = Certificates::shared();
        let pem = |name, file: &str| {
            let file = certificates.path(file);
            PemFile { name, text: std::fs::read(&file).unwrap(), file: file.into() }
        };
        TlsFiles {
            authority: Some(pem("REDIS_TLS_CA_FILE", "ca.pem")),
            client: Some((pem("REDIS_TLS_CERT_FILE", "client.pem"), pem("REDIS_TLS_KEY_FILE", "client.key"))),
        }
    });
    StoreSettings::Redis(RedisSettings { tls, ..RedisSettings::at(url) }.into())
}

fn embedded_settings(directory: &Path) -> StoreSettings {
    StoreSettings::Embedded { directory: directory.to_owned() }
}

pub(super) fn user() -> User {
    let id = Uuid::new_v4();
    User {
        id,
        email: format!("{id}@example.com"),
        created_at: 1_700_000_000,
        password_hash: "$argon2id$...".to_owned(),
        known_addresses: KnownAddresses::default(),
        password_change: None,
        email_verified_at: None,
        totp: None,
    }
}

pub(super) fn session() -> NewSession {
    let sid = Id::random().unwrap();
    let origin = Origin { ip: "127.0.0.1".to_owned(), user_agent: "tests".to_owned() };
    // The session and its refresh token have the same id, so that one id is enough for a refresh.
    NewSession { sid, epoch: Id::random().unwrap(), refresh_id: sid, origin }
}

/// Whether the session's refresh token is accepted.
pub(super) async fn refresh(store: &Store, tag: Id, sid: Id) -> Result<bool, Error> {
    Ok(matches!(store.refresh(tag, sid, sid, None).await?, Refreshed::Live { .. }))
}

pub(super) fn same(stored: &StoredUser, user: &User) -> bool {
    let stored = &stored.user;
    (stored.id, &stored.email, stored.created_at, &stored.password_hash)
        == (user.id, &user.email, user.created_at, &user.password_hash)
}
