//! The store's contract, as `src/store/mod.rs` documents it, asked of every variant through the library.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use auth_service::{
    clock::unix_seconds,
    config::{RedisConfig, StoreConfig, TlsFiles},
    error::Error,
    id::Id,
    secret::Secret,
    session::{NewSession, Origin, Outcome, Refreshed, SessionPolicy},
    store::{Backend, Store, StoredUser},
    user::User,
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};
use uuid::Uuid;

use crate::{
    redis_server::{RedisServer, wait_until},
    runner, suite,
    topology::Certificates,
};

suite! {
    every_store: [
        create_user_is_true_once_and_keeps_the_first,
        concurrent_create_user_is_true_for_exactly_one,
        find_user_returns_what_was_created,
        open_session_makes_its_tokens_live_and_no_others,
        open_session_refuses_a_record_that_changed_or_went,
        open_session_stores_the_upgraded_record,
        profile_and_check_access_agree,
        refresh_renews_the_access_entry_only_while_the_refresh_entry_lives,
        the_epoch_outlives_the_last_token_and_not_by_much,
        a_later_sign_in_shortens_no_session,
        neither_refresh_nor_renewal_ends_an_access_token_before_its_time,
        remove_tokens_is_true_while_any_lived,
        remove_tokens_is_false_after_all_have_expired,
        remove_tokens_wins_over_concurrent_refreshes,
        delete_user_ends_account_and_tokens,
        delete_user_wins_over_concurrent_sign_ins,
        users_and_sessions_are_there_when_opened_again,
        ready_says_yes,
    ]
}

const LONG: SessionPolicy = policy(60, 120);

const fn policy(access_seconds: u64, refresh_seconds: u64) -> SessionPolicy {
    SessionPolicy {
        access_seconds,
        refresh_seconds,
        rotation: false,
        grace_seconds: 10,
        max_age_seconds: None,
        max_sessions: 100,
    }
}

/// A store of one variant, and a user that no other test knows.
struct Scene {
    runtime: Runtime,
    backend: Option<Backend>,
    store: Option<Arc<Store>>,
    config: StoreConfig,
    tag: Id,
    /// Holds the embedded store's files.
    _directory: tempfile::TempDir,
}

impl Scene {
    fn new(store: runner::Store, lifetimes: SessionPolicy) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = config(store, &directory.path().join("data"));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let tag = Id::random().unwrap();
        let mut scene = Self { runtime, backend: None, store: None, config, tag, _directory: directory };
        scene.open(lifetimes);
        scene
    }

    /// Closes what is open, and opens the same data with these lifetimes.
    fn open(&mut self, lifetimes: SessionPolicy) {
        self.store = None;
        self.backend = None;
        let backend = Backend::open(&self.config, lifetimes).unwrap();
        assert!(matches!(self.runtime.block_on(backend.check()), Ok(None)));
        self.store = Some(Arc::new(self.runtime.block_on(backend.connect())));
        self.backend = Some(backend);
    }

    fn store(&self) -> Arc<Store> {
        Arc::clone(self.store.as_ref().unwrap())
    }

    /// Runs one operation.
    #[track_caller]
    fn run<T, F: Future<Output = Result<T, Error>>>(&self, operation: impl FnOnce(Arc<Store>) -> F) -> T {
        self.runtime.block_on(operation(self.store())).unwrap()
    }

    fn create(&self, user: &User) -> bool {
        self.run(async |store| store.create_user(self.tag, user).await)
    }

    fn find(&self) -> Option<StoredUser> {
        self.run(async |store| store.find_user(self.tag).await)
    }

    fn open_session(&self, seen: &StoredUser, upgraded: Option<&User>, session: &NewSession) -> bool {
        self.run(async |store| store.open_session(self.tag, seen, upgraded, session, self.tag).await)
    }

    fn refresh(&self, sid: Id) -> bool {
        self.run(async |store| refresh(&store, self.tag, sid).await)
    }

    fn remove(&self) -> bool {
        self.run(async |store| store.remove_tokens(self.tag, None).await) == Outcome::Done
    }

    fn delete(&self) -> bool {
        self.run(async |store| store.delete_user(self.tag, None, None).await) == Outcome::Done
    }

    /// Whether access tokens live; both ways of asking must agree.
    #[track_caller]
    fn lives(&self, sid: Id) -> bool {
        self.run(async |store| store.check_access(self.tag, sid).await)
    }

    /// The account is there, and signs in.
    fn sign_in(&self) -> Id {
        self.create(&user());
        let session = session();
        assert!(self.open_session(&self.find().unwrap(), None, &session));
        session.sid
    }

    /// Runs the same operation many times at once, and returns what each answered.
    fn at_once<F>(&self, times: usize, operation: impl Fn(Arc<Store>, usize) -> F) -> Vec<bool>
    where
        F: Future<Output = Result<bool, Error>> + Send + 'static,
    {
        self.runtime.block_on(async {
            let mut all = JoinSet::new();
            for n in 0..times {
                all.spawn(operation(self.store(), n));
            }
            all.join_all().await.into_iter().map(Result::unwrap).collect()
        })
    }
}

fn config(store: runner::Store, directory: &Path) -> StoreConfig {
    match store {
        runner::Store::Redis => {
            let url = Secret::new(RedisServer::shared_url());
            let read = |file: &str| std::fs::read(Certificates::shared().path(file)).unwrap();
            let tls = url.expose().starts_with("rediss").then(|| TlsFiles {
                authority: Some(read("ca.pem")),
                client: Some((read("client.pem"), read("client.key"))),
            });
            StoreConfig::Redis(RedisConfig { url, username: None, password: None, tls, wait: None })
        }
        runner::Store::Embedded => StoreConfig::Embedded { directory: directory.to_owned() },
    }
}

fn user() -> User {
    let id = Uuid::new_v4();
    User { id, email: format!("{id}@example.com"), created_at: 1_700_000_000, phc: "$argon2id$...".to_owned() }
}

fn session() -> NewSession {
    let sid = Id::random().unwrap();
    let origin = Origin { ip: "127.0.0.1".to_owned(), user_agent: "tests".to_owned() };
    // The session's id serves as its refresh token's, too, so that one id is enough to refresh it.
    NewSession { sid, epoch: Id::random().unwrap(), refresh_id: sid, origin }
}

/// Whether the session's refresh token lives.
async fn refresh(store: &Store, tag: Id, sid: Id) -> Result<bool, Error> {
    let refresh_end = unix_seconds() + 3_600;
    let refreshed = store.refresh(tag, sid, sid, refresh_end, None).await?;
    Ok(matches!(refreshed, Refreshed::Live { .. }))
}

fn same(stored: &StoredUser, user: &User) -> bool {
    let stored = &stored.user;
    (stored.id, &stored.email, stored.created_at, &stored.phc) == (user.id, &user.email, user.created_at, &user.phc)
}

fn create_user_is_true_once_and_keeps_the_first(store: runner::Store) {
    let scene = Scene::new(store, LONG);
    let (first, second) = (user(), user());
    assert!(scene.create(&first));
    assert!(!scene.create(&second));
    assert!(!scene.create(&first), "not even the same record, once it has been answered");
    assert!(same(&scene.find().unwrap(), &first));
}

fn concurrent_create_user_is_true_for_exactly_one(store: runner::Store) {
    let scene = Scene::new(store, LONG);
    let tag = scene.tag;
    let users: Vec<_> = (0..50).map(|_| user()).collect();
    let created = scene.at_once(50, |store, n| {
        let user = users[n].clone();
        async move { store.create_user(tag, &user).await }
    });
    let winners: Vec<_> = users.iter().zip(created).filter(|(_, created)| *created).collect();
    assert_eq!(winners.len(), 1);
    assert!(same(&scene.find().unwrap(), winners[0].0));
}

fn find_user_returns_what_was_created(store: runner::Store) {
    let scene = Scene::new(store, LONG);
    assert!(scene.find().is_none());
    let user = user();
    assert!(scene.create(&user));
    assert!(same(&scene.find().unwrap(), &user));
}

fn open_session_makes_its_tokens_live_and_no_others(store: runner::Store) {
    let scene = Scene::new(store, LONG);
    let (first, second) = (scene.sign_in(), scene.sign_in());
    assert!(scene.lives(first) && scene.lives(second), "sessions do not disturb each other");
    assert!(!scene.lives(Id::random().unwrap()));
    let elsewhere = Id::random().unwrap();
    assert!(!scene.run(async |store| store.check_access(elsewhere, first).await), "a session belongs to its user");
    assert!(!scene.run(async |store| refresh(&store, elsewhere, first).await));
}

fn open_session_refuses_a_record_that_changed_or_went(store: runner::Store) {
    let scene = Scene::new(store, LONG);
    let original = user();
    assert!(scene.create(&original));
    let seen = scene.find().unwrap();
    let changed = User { phc: "another password".to_owned(), ..original.clone() };
    assert!(scene.open_session(&seen, Some(&changed), &session()));

    let late = session();
    assert!(!scene.open_session(&seen, None, &late), "the password has changed since");
    assert!(!scene.open_session(&seen, Some(&original), &late));
    assert!(!scene.lives(late.sid) && !scene.refresh(late.sid));
    assert!(same(&scene.find().unwrap(), &changed), "nothing was put back");

    let seen = scene.find().unwrap();
    assert!(scene.delete());
    assert!(!scene.open_session(&seen, Some(&original), &late), "the account is gone");
    assert!(scene.find().is_none() && !scene.lives(late.sid));
    assert!(scene.create(&User { id: Uuid::new_v4(), ..changed }));
    assert!(!scene.open_session(&seen, None, &late), "another account of the same email");
}

fn open_session_stores_the_upgraded_record(store: runner::Store) {
    let scene = Scene::new(store, LONG);
    let original = user();
    assert!(scene.create(&original));
    let upgraded = User { phc: "a costlier hash".to_owned(), ..original };
    let session = session();
    assert!(scene.open_session(&scene.find().unwrap(), Some(&upgraded), &session));
    assert!(same(&scene.find().unwrap(), &upgraded) && scene.lives(session.sid));
}

fn profile_and_check_access_agree(store: runner::Store) {
    let scene = Scene::new(store, LONG);
    let user = user();
    assert!(scene.create(&user));
    let session = session();
    let profile = |sid| scene.run(async |store| store.profile(scene.tag, sid, user.id).await);
    assert!(profile(session.sid).is_none());
    assert!(scene.open_session(&scene.find().unwrap(), None, &session));
    let found = profile(session.sid).unwrap();
    assert_eq!((found.id, found.email, found.created_at), (user.id, user.email, user.created_at));
    assert!(scene.remove());
    assert!(profile(session.sid).is_none() && !scene.lives(session.sid));
}

fn refresh_renews_the_access_entry_only_while_the_refresh_entry_lives(store: runner::Store) {
    let scene = Scene::new(store, policy(1, 4));
    let sid = scene.sign_in();
    wait_until("the access entry expires", || !scene.lives(sid));
    assert!(scene.refresh(sid), "the refresh entry lives on");
    assert!(scene.lives(sid));
    wait_until("the refresh entry expires", || !scene.refresh(sid));
    wait_until("the last access entry expires", || !scene.lives(sid));
    assert!(!scene.refresh(sid) && !scene.refresh(Id::random().unwrap()));
    assert!(!scene.lives(sid), "a refused refresh changes nothing");
}

/// `remove_tokens` tells whether any token lived by the epoch alone, and a token without an epoch is dead.
fn the_epoch_outlives_the_last_token_and_not_by_much(store: runner::Store) {
    // Equal, so that late in the session's life the access entry outlives the refresh entry.
    let scene = Scene::new(store, policy(2, 2));
    let sid = scene.sign_in();
    let mut last = Instant::now();
    // Each renews the access entry for two seconds; the last one that succeeds does so at the refresh entry's end.
    loop {
        let before = Instant::now();
        if !scene.refresh(sid) {
            break;
        }
        last = before;
        std::thread::sleep(Duration::from_millis(50));
    }
    wait_until("the access entry expires", || !scene.lives(sid));
    assert!(last.elapsed() > Duration::from_millis(1_950), "it lived for {:?} only", last.elapsed());
    // A token ends by the server's clock, its epoch by Redis', which the request reaches a moment later.
    let ended = Instant::now();
    wait_until("that moment has passed", || ended.elapsed() > Duration::from_millis(500));
    assert!(!scene.remove(), "the epoch ended with it");
}

fn a_later_sign_in_shortens_no_session(store: runner::Store) {
    let mut scene = Scene::new(store, LONG);
    let long = scene.sign_in();
    scene.open(policy(1, 1));
    let short = scene.sign_in();
    assert!(scene.lives(short));
    wait_until("the short session ends", || !scene.lives(short));
    assert!(scene.lives(long), "the long one keeps the lifetime it was opened with");
}

fn neither_refresh_nor_renewal_ends_an_access_token_before_its_time(store: runner::Store) {
    let mut scene = Scene::new(store, LONG);
    let sids = [scene.sign_in(), scene.sign_in()];
    scene.open(policy(1, 120));
    assert!(scene.refresh(sids[0]));
    assert_eq!(scene.run(async |store| store.renew(scene.tag, sids[1], sids[1]).await), Some(1));
    let short = scene.sign_in();
    wait_until("the access token of a second ends", || !scene.lives(short));
    assert!(sids.iter().all(|sid| scene.lives(*sid)), "those of a minute keep the lifetime they were given with");
}

fn remove_tokens_is_true_while_any_lived(store: runner::Store) {
    let scene = Scene::new(store, LONG);
    assert!(!scene.remove(), "nobody there");
    assert!(scene.create(&user()));
    assert!(!scene.remove(), "never signed in");
    let (first, second) = (scene.sign_in(), scene.sign_in());
    assert!(scene.remove());
    for sid in [first, second] {
        assert!(!scene.lives(sid) && !scene.refresh(sid));
    }
    assert!(!scene.remove(), "none left");
    let third = scene.sign_in();
    assert!(scene.lives(third) && !scene.lives(first) && !scene.refresh(second), "a new epoch wakes no old session");
}

fn remove_tokens_is_false_after_all_have_expired(store: runner::Store) {
    let scene = Scene::new(store, policy(1, 1));
    let sid = scene.sign_in();
    // Tokens end by the server's clock, and a moment later keys by the store's: a second after they were written.
    let mut written = Instant::now();
    wait_until("the session expires", || {
        if scene.refresh(sid) {
            written = Instant::now();
        }
        !scene.lives(sid) && written.elapsed() > Duration::from_millis(1_010)
    });
    assert!(!scene.remove());
    assert!(scene.find().is_some(), "users never expire");
}

fn remove_tokens_wins_over_concurrent_refreshes(store: runner::Store) {
    let scene = Scene::new(store, LONG);
    let tag = scene.tag;
    for _ in 0..20 {
        let sid = scene.sign_in();
        let answers = scene.at_once(20, |store, n| async move {
            if n == 10 {
                store.remove_tokens(tag, None).await.map(|outcome| outcome == Outcome::Done)
            } else {
                refresh(&store, tag, sid).await
            }
        });
        assert!(answers.contains(&true));
        assert!(!scene.lives(sid) && !scene.refresh(sid) && !scene.remove());
    }
}

fn delete_user_ends_account_and_tokens(store: runner::Store) {
    let scene = Scene::new(store, LONG);
    assert!(!scene.delete(), "nobody there");
    let sid = scene.sign_in();
    assert!(scene.delete());
    assert!(scene.find().is_none() && !scene.lives(sid) && !scene.refresh(sid));
    assert!(!scene.remove() && !scene.delete());
    let next = scene.sign_in();
    assert!(scene.lives(next) && !scene.lives(sid), "a later account of the same email is another");
}

fn delete_user_wins_over_concurrent_sign_ins(store: runner::Store) {
    let scene = Scene::new(store, LONG);
    let tag = scene.tag;
    for _ in 0..20 {
        assert!(scene.create(&user()));
        let seen = scene.find().unwrap();
        let sessions: Vec<_> = (0..20).map(|_| session()).collect();
        let answers = scene.at_once(20, |store, n| {
            let (seen, session) = (seen.clone(), sessions[n].clone());
            async move {
                if n == 10 {
                    store.delete_user(tag, None, None).await.map(|outcome| outcome == Outcome::Done)
                } else {
                    store.open_session(tag, &seen, None, &session, tag).await
                }
            }
        });
        assert!(answers.contains(&true));
        assert!(sessions.iter().all(|session| !scene.lives(session.sid) && !scene.refresh(session.sid)));
        assert!(scene.find().is_none() && !scene.remove());
    }
}

fn users_and_sessions_are_there_when_opened_again(store: runner::Store) {
    let mut scene = Scene::new(store, LONG);
    let user = user();
    assert!(scene.create(&user));
    let session = session();
    assert!(scene.open_session(&scene.find().unwrap(), None, &session));
    scene.open(LONG);
    assert!(same(&scene.find().unwrap(), &user) && scene.lives(session.sid) && scene.refresh(session.sid));
}

fn ready_says_yes(store: runner::Store) {
    let scene = Scene::new(store, LONG);
    scene.run(async |store| store.ready().await);
}
