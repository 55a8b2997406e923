//! Changes of email in a cluster, whose two emails are on two primaries that fail.

use std::time::Duration;

use auth_service_records::{
    clock::Clock,
    error::{Error, Outage},
    session::SessionPolicy,
    throttle::KnownAddresses,
    user::User,
};
use auth_service_store::{
    Moved, PendingKind, Spent, Store,
    backend::Backend,
    settings::{RedisSettings, StoreSettings, Wait},
};
use auth_service_token::Id;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::support::{Cluster, not_beside_load, wait_until};

const POLICY: SessionPolicy = SessionPolicy {
    access_seconds: 60,
    refresh_seconds: 120,
    rotation: false,
    grace_seconds: 10,
    max_age_seconds: None,
    max_sessions: 100,
};
const SPENT: Spent<'_> = Spent { kind: PendingKind::EmailChange, value: b"digest" };

/// An account whose former and new email are on two primaries. Its writes wait for one replica.
struct Scene {
    cluster: Cluster,
    runtime: Runtime,
    store: Store,
    tag: Id,
    to: Id,
    user: User,
}

impl Scene {
    fn new() -> Self {
        let cluster = Cluster::start(&[]);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let wait = Some(Wait { replicas: 1, timeout: Duration::from_millis(200) });
        let settings = StoreSettings::Redis(RedisSettings { wait, ..RedisSettings::at(&cluster.url()) }.into());
        let backend = Backend::open(&settings, POLICY, Clock::new()).unwrap();
        let store = runtime.block_on(backend.connect());
        let tag = Id::random().unwrap();
        let owner = |tag: Id| cluster.owner(0, &key(tag));
        let to = std::iter::repeat_with(|| Id::random().unwrap()).find(|to| owner(*to) != owner(tag)).unwrap();
        let user = User {
            id: Uuid::new_v4(),
            email: "former@example.com".to_owned(),
            created_at: 1_800_000_000,
            password_hash: "$argon2id$...".to_owned(),
            known_addresses: KnownAddresses::default(),
            password_change: None,
            email_verified_at: None,
            totp: None,
        };
        let scene = Self { cluster, runtime, store, tag, to, user };
        wait_until("the account is there", || scene.create().is_ok());
        scene
    }

    fn create(&self) -> Result<bool, Error> {
        self.runtime.block_on(self.store.create_user(self.tag, &self.user))
    }

    fn start_move(&self) -> Result<Moved, Error> {
        self.runtime.block_on(async {
            self.store.put_pending(self.tag, SPENT.kind, SPENT.value, 60).await?;
            let stored = self.store.find_user(self.tag).await?.unwrap();
            let user = User { email: "new@example.com".to_owned(), ..self.user.clone() };
            self.store.move_user(self.tag, self.to, &stored, &user, SPENT).await
        })
    }

    fn find(&self, tag: Id) -> Result<Option<String>, Error> {
        Ok(self.runtime.block_on(self.store.find_user(tag))?.map(|found| found.user.email))
    }

    fn assert_moved(&self) {
        let both = || Some((self.find(self.tag).ok()?, self.find(self.to).ok()?));
        let mut found = None;
        wait_until("the store answers for both emails", || {
            found = both();
            found.is_some()
        });
        assert_eq!(found.unwrap(), (None, Some("new@example.com".to_owned())));
    }
}

/// A key in the slot of an account.
fn key(tag: Id) -> String {
    format!("as:{{{tag}}}:test")
}

fn is_not_replicated<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Unavailable(Outage::NotReplicated)))
}

/// The primary of the new email accepts the account and dies before its replica has the account. The account still has
/// its former record, which the primary of the former email keeps until a replica has the new one.
#[test]
fn an_account_is_not_lost_with_a_primary_that_alone_had_its_new_record() {
    let _turn = not_beside_load();
    let mut scene = Scene::new();
    let primary = scene.cluster.owner(0, &key(scene.to));
    let replica = scene.cluster.replica_of(primary);
    scene.cluster.wait_for_replica(&key(scene.to));
    scene.cluster.servers[replica].freeze();
    let outcome = scene.start_move();
    assert!(is_not_replicated(&outcome), "{outcome:?}");
    for tag in [scene.tag, scene.to] {
        let found = scene.find(tag);
        assert!(is_not_replicated(&found), "an account in between is an outage: {found:?}");
    }
    scene.cluster.servers[primary].kill();
    scene.cluster.servers[replica].thaw();
    scene.cluster.wait_for_failover(primary, &key(scene.to));
    // The new primary has no replica that could confirm the move until the former one is back.
    scene.cluster.servers[primary].spawn(&[]);
    scene.assert_moved();
}

#[test]
fn a_complete_move_survives_the_loss_of_both_primaries() {
    let _turn = not_beside_load();
    let mut scene = Scene::new();
    for tag in [scene.tag, scene.to] {
        scene.cluster.wait_for_replica(&key(tag));
    }
    assert_eq!(scene.start_move().unwrap(), Moved::Done);
    for tag in [scene.to, scene.tag] {
        let primary = scene.cluster.owner(0, &key(tag));
        scene.cluster.servers[primary].kill();
        scene.cluster.wait_for_failover(primary, &key(tag));
        scene.cluster.servers[primary].restart();
        wait_until("the cluster is whole", || scene.cluster.is_whole());
    }
    scene.assert_moved();
}
