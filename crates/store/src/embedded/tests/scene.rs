//! A store in a directory of its own, one user, and a clock that the test sets.

use std::{cell::Cell, sync::Arc, time::Instant};

use auth_service_records::{
    clock::Clock,
    revocation::StreamId,
    session::{NewSession, Origin, Page, Refreshed, Renewed, SessionPolicy, Successor},
    throttle::KnownAddresses,
    user::User,
};
use auth_service_token::Id;
use redb::ReadableTable;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    embedded::{
        store::Embedded,
        tables::{Reads, Tables},
    },
    record::StoredUser,
};

/// The time at which a scene begins, in seconds since the Unix epoch.
pub(super) const START: u64 = 1_800_000_000;

pub(super) const POLICY: SessionPolicy = SessionPolicy {
    access_seconds: 60,
    refresh_seconds: 120,
    rotation: true,
    grace_seconds: 10,
    max_age_seconds: None,
    max_sessions: 100,
};

pub(super) struct Scene {
    pub(super) directory: TempDir,
    pub(super) clock: Clock,
    pub(super) store: Arc<Embedded>,
    pub(super) tag: Id,
    millis: Cell<u64>,
}

/// One row of a table: the key, the expiry in milliseconds, and the JSON.
pub(super) type Row = (String, u64, Value);

impl Scene {
    pub(super) fn new(policy: SessionPolicy) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::new();
        let store = Arc::new(Embedded::open(&directory.path().join("data"), policy, clock.clone()).unwrap());
        let scene = Self { directory, clock, store, tag: id(), millis: Cell::new(0) };
        scene.at(0);
        scene
    }

    /// Sets the clock to this many milliseconds after the start.
    pub(super) fn at(&self, millis: u64) {
        self.millis.set(millis);
        self.set_clock();
    }

    /// Resets the clock to the time of the test, so that a slow machine does not change the result.
    fn set_clock(&self) {
        self.clock.set((START * 1_000 + self.millis.get()) * 1_000, Instant::now());
    }

    pub(super) async fn sign_up(&self) -> StoredUser {
        assert!(self.store.create_user(self.tag, &user()).await.unwrap());
        self.find()
    }

    pub(super) fn find(&self) -> StoredUser {
        self.store.find_user(self.tag).unwrap().unwrap()
    }

    /// Signs in, after a sign-up if the account does not exist. The id of the session is also the id of its refresh
    /// token.
    pub(super) async fn sign_in(&self) -> Id {
        self.store.create_user(self.tag, &user()).await.unwrap();
        let session = session();
        self.set_clock();
        assert!(self.store.open_session(self.tag, &self.find(), None, &session, None).await.unwrap().is_some());
        session.sid
    }

    pub(super) fn lives(&self, sid: Id) -> bool {
        self.store.check_access(self.tag, sid).unwrap().is_some()
    }

    pub(super) async fn refresh(&self, sid: Id, refresh_id: Id, next_id: Option<Id>) -> Refreshed {
        self.set_clock();
        match self.store.refresh(self.tag, sid, refresh_id, next_id).await.unwrap() {
            Refreshed::Live { access_seconds, epoch, successor } => {
                assert_eq!(self.epoch(), Some(epoch));
                refreshed(access_seconds, successor)
            }
            ended => ended,
        }
    }

    pub(super) async fn renew(&self, sid: Id, refresh_id: Id) -> Renewed {
        self.set_clock();
        match self.store.renew(self.tag, sid, refresh_id).await.unwrap() {
            Renewed::Live { access_seconds, epoch } => {
                assert_eq!(self.epoch(), Some(epoch));
                renewed(access_seconds)
            }
            ended => ended,
        }
    }

    /// The user's epoch.
    pub(super) fn epoch(&self) -> Option<Id> {
        let epoch = self.store.read(|snapshot, now| snapshot.live_epoch(self.tag, now)).unwrap();
        epoch.map(|epoch| epoch.entry.epoch)
    }

    /// All ids in the feed of revocations, oldest first.
    pub(super) fn revoked(&self) -> Vec<String> {
        let feed = self.store.revocations(StreamId::default()).unwrap();
        feed.into_iter().flat_map(|entry| entry.revoked).collect()
    }

    /// Ids of the listed sessions, newest first.
    pub(super) fn listed(&self, after: Option<Id>, limit: usize) -> Vec<Id> {
        let sessions = self.store.list_sessions(self.tag, None, Page { after, limit }).unwrap().unwrap();
        sessions.into_iter().map(|session| session.sid).collect()
    }

    /// The rows of the epoch entries, the access entries and the refresh entries.
    pub(super) fn rows(&self) -> [Vec<Row>; 3] {
        self.store
            .read(|snapshot, _| {
                Ok([rows_of(snapshot.epochs()), rows_of(snapshot.access()), rows_of(snapshot.refresh())])
            })
            .unwrap()
    }

    pub(super) fn row_counts(&self) -> [usize; 3] {
        self.rows().map(|rows| rows.len())
    }

    /// Changes the JSON of every entry.
    pub(super) async fn edit(&self, edit: impl Fn(&mut Value) + Send + 'static) {
        self.store
            .write(move |tables: &mut Tables<'_>, _| {
                for table in tables.entries() {
                    for (key, expiry, mut json) in rows_of(table) {
                        edit(&mut json);
                        table.insert(key.as_str(), (expiry, json.to_string().as_bytes()))?;
                    }
                }
                tables.changed = true;
                Ok(())
            })
            .await
            .unwrap();
    }
}

fn rows_of(table: &impl ReadableTable<&'static str, (u64, &'static [u8])>) -> Vec<Row> {
    let rows = table.iter().unwrap().map(|found| {
        let (key, value) = found.unwrap();
        let (expiry, json) = value.value();
        (key.value().to_owned(), expiry, serde_json::from_slice(json).unwrap())
    });
    rows.collect()
}

pub(super) fn id() -> Id {
    Id::random().unwrap()
}

pub(super) fn user() -> User {
    User {
        id: Uuid::from_u128(1),
        email: "Ada@example.com".to_owned(),
        created_at: 1_700_000_000,
        password_hash: "$argon2id$...".to_owned(),
        known_addresses: KnownAddresses::default(),
        password_change: None,
        email_verified_at: None,
        totp: None,
    }
}

pub(super) fn session() -> NewSession {
    let sid = id();
    let origin = Origin { ip: "192.0.2.1".to_owned(), user_agent: "tests".to_owned() };
    NewSession { sid, epoch: id(), refresh_id: sid, origin }
}

/// The epoch in the results of the scene, whose calls have compared the real one.
fn any_epoch() -> Id {
    Id::digest(b"any epoch")
}

/// A refresh that the session survives.
pub(super) fn refreshed(access_seconds: u64, successor: Option<Successor>) -> Refreshed {
    Refreshed::Live { access_seconds, epoch: any_epoch(), successor }
}

/// A renewal that the session survives.
pub(super) fn renewed(access_seconds: u64) -> Renewed {
    Renewed::Live { access_seconds, epoch: any_epoch() }
}
