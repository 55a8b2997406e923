//! A server, an account that moves, and a server that stops in the middle of a move.

use std::{collections::BTreeMap, sync::LazyLock};

use auth_service_records::{error::Error, user::User};
use auth_service_store::{Moved, PendingKind, Spent, Store, StoredUser};
use auth_service_token::Id;
use redis::Script;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    gate::{Gate, Loss},
    scene::{POLICY, Scene, id, session, user, wait_for},
};

const SPENT: Spent<'_> = Spent { kind: PendingKind::EmailChange, value: b"digest" };

pub(super) static BEGIN: LazyLock<Step> = LazyLock::new(|| Step::read(&["entries", "ending", "replace_user"]));
pub(super) static DECIDE: LazyLock<Step> = LazyLock::new(|| Step::read(&["decide_move"]));
pub(super) static COMPLETE: LazyLock<Step> = LazyLock::new(|| Step::read(&["complete_move"]));
pub(super) static UNMARK: LazyLock<Step> = LazyLock::new(|| Step::read(&["unmark_user"]));

/// The script of a step of a move.
#[derive(PartialEq, Eq)]
pub(super) struct Step {
    pub(super) hash: String,
    code: String,
}

impl Step {
    fn read(files: &[&str]) -> Self {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/redis/scripts/");
        let text = |file| std::fs::read_to_string(format!("{directory}{file}.lua")).unwrap();
        let code: String = files.iter().map(text).collect();
        Self { hash: Script::new(&code).get_hash().to_owned(), code }
    }
}

/// A server, a store, and the store of a server that stops in the middle of a move.
pub(super) struct Moves {
    pub(super) scene: Scene,
    pub(super) gate: Gate,
}

/// An account that moves.
pub(super) struct Mover {
    pub(super) tag: Id,
    pub(super) to: Id,
    pub(super) stored: StoredUser,
    pub(super) after: User,
}

impl Moves {
    pub(super) async fn new() -> Self {
        let scene = Scene::new(POLICY).await;
        let gate = Gate::start(scene.socket()).await;
        for script in [&BEGIN, &DECIDE, &COMPLETE, &UNMARK] {
            let mut load = redis::cmd("SCRIPT");
            let text: String = load.arg("LOAD").arg(&script.code).query(&mut scene.connection()).unwrap();
            assert_eq!(text, script.hash);
        }
        Self { scene, gate }
    }

    pub(super) fn store(&self) -> &Store {
        &self.scene.store
    }

    /// An account with a session that has asked for another email.
    pub(super) async fn account(&self) -> Mover {
        let (tag, to) = (id(), id());
        let before = User { id: Uuid::new_v4(), ..user() };
        let store = self.store();
        assert!(store.create_user(tag, &before).await.unwrap());
        store.put_pending(tag, SPENT.kind, SPENT.value, 60).await.unwrap();
        let stored = store.find_user(tag).await.unwrap().unwrap();
        assert!(store.open_session(tag, &stored, None, &session(), None).await.unwrap().is_some());
        Mover { tag, to, stored, after: User { email: "new@example.com".to_owned(), ..before } }
    }

    /// Begins a move that stops at a step.
    pub(super) async fn stop(&self, mover: &Mover, step: &Step, loss: Loss) {
        wait_for(&self.gate.store).await;
        // The first run of step 1 asks to publish the end of the sessions.
        let spared = usize::from(*step == *BEGIN);
        self.gate.lose(&step.hash, spared, loss);
        let outcome = mover.run(&self.gate.store).await;
        assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
        assert!(self.gate.has_lost());
    }

    /// Everything at a tag: the kind of each key, and the value of the record.
    pub(super) fn at(&self, tag: Id) -> BTreeMap<String, Option<String>> {
        let prefix = format!("as:{{{tag}}}:");
        let keys: Vec<String> = self.scene.redis(&["KEYS", &format!("{prefix}*")]);
        let value = |key: &str| key.ends_with(":u").then(|| self.scene.redis::<String>(&["GET", key]));
        keys.iter().map(|key| (key.strip_prefix(&prefix).unwrap().to_owned(), value(key))).collect()
    }

    /// Whether one of the two records has the mark of a move.
    pub(super) fn is_marked(&self, mover: &Mover) -> bool {
        [mover.tag, mover.to].iter().filter_map(|tag| self.record(*tag)).any(|record| record.contains("ing\":{\"id\""))
    }

    pub(super) fn record(&self, tag: Id) -> Option<String> {
        self.at(tag).remove("u").flatten()
    }

    /// Writes a record, as a failover that loses the latest writes does.
    pub(super) fn restore(&self, tag: Id, record: &str) {
        let () = self.scene.redis(&["SET", &format!("as:{{{tag}}}:u"), record]);
    }

    pub(super) fn forget(&self, tag: Id, kind: &str) {
        assert_eq!(self.scene.redis::<u8>(&["DEL", &format!("as:{{{tag}}}:{kind}")]), 1);
    }

    /// The only decision at a tag.
    pub(super) fn decision(&self, tag: Id) -> String {
        self.at(tag).into_keys().find(|kind| kind.starts_with("d:")).unwrap()
    }

    /// Checks that the account is at one tag, unmarked, and that nothing is left at the other one.
    pub(super) async fn check(&self, mover: &Mover, has_moved: bool, case: &str) {
        // Before step 2, only a reader of the former email can know of the move.
        let former = self.store().find_user(mover.tag).await.unwrap();
        let new = self.store().find_user(mover.to).await.unwrap();
        let (here, found, elsewhere) = if has_moved { (mover.to, new, former) } else { (mover.tag, former, new) };
        let found = found.map(|found| (found.user.id, found.user.email));
        let email = if has_moved { &mover.after.email } else { &mover.stored.user.email };
        assert_eq!(found, Some((mover.after.id, email.clone())), "{case}");
        let record: Value = serde_json::from_str(&self.record(here).unwrap()).unwrap();
        assert_eq!(record["v"], 1, "{case}: {record}");
        assert!(record.get("leaving").is_none() && record.get("arriving").is_none(), "{case}: {record}");
        assert!(elsewhere.is_none_or(|other| other.user.id != mover.after.id), "{case}");
        if has_moved {
            let left: Vec<_> = self.at(mover.tag).into_keys().filter(|kind| kind != "u").collect();
            assert_eq!(left, Vec::<String>::new(), "{case}");
        }
    }
}

impl Mover {
    pub(super) async fn run(&self, store: &Store) -> Result<Moved, Error> {
        store.move_user(self.tag, self.to, &self.stored, &self.after, SPENT).await
    }
}
