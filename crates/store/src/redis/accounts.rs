//! The operations on accounts. `accounts.rs` of the store has their contracts.

use std::sync::LazyLock;

use auth_service_records::{
    error::{Error, Outage},
    session::Outcome,
    user::User,
};
use auth_service_token::Id;
use futures_util::{StreamExt, TryStreamExt, stream};
use redis::{Script, Value};
use uuid::Uuid;

use super::{keys::Key, net::request::Request, script::script, store::Redis};
use crate::{
    access::changing_fields,
    change::{PendingKind, Spent},
    record::{NewUser, StoredUser, decode_user, encode_changed_user, encode_new_user, encode_user},
};

/// How long a client can repeat a sign-up that too few replicas have confirmed.
const UNACKNOWLEDGED_SECONDS: u64 = 600;

/// The number of commands that are on their way at the same time. They share writes to the connection.
const AT_ONCE: usize = 256;
/// The same number for writes that wait for replicas, each on a connection of its own.
const WAITING_AT_ONCE: usize = 8;

static CREATE_USER: LazyLock<Script> = script!("create_user");
static UPDATE_USER: LazyLock<Script> = script!("entries", "update_user");
static REPLACE_USER: LazyLock<Script> = script!("entries", "ending", "replace_user");
static DELETE_USER: LazyLock<Script> = script!("entries", "ending", "delete_user");

impl Redis {
    pub(crate) async fn create_user(&self, tag: Id, user: &User) -> Result<bool, Error> {
        self.create_record(tag, user.id, encode_user(user)).await
    }

    pub(crate) async fn import_users(&self, users: &[NewUser]) -> Result<Vec<bool>, Error> {
        let at_once = if self.shared.wait.is_some() { WAITING_AT_ONCE } else { AT_ONCE };
        let added = |new: &NewUser| self.create_record(new.tag, new.user.id, encode_new_user(new));
        stream::iter(users.iter().map(added)).buffered(at_once).try_collect().await
    }

    pub(crate) async fn have_accounts(&self, tags: &[Id]) -> Result<Vec<bool>, Error> {
        let exists =
            async |tag| self.run::<bool>(tag, &Request::command("EXISTS").reading().arg(self.keys().user(tag))).await;
        stream::iter(tags.iter().copied().map(exists)).buffered(AT_ONCE).try_collect().await
    }

    async fn create_record(&self, tag: Id, id: Uuid, record: Vec<u8>) -> Result<bool, Error> {
        if self.shared.wait.is_none() {
            return self.create_record_at_once(tag, id, record).await;
        }
        let keys = [self.keys().user(tag), self.keys().unacknowledged(tag)];
        let call = Request::call(&CREATE_USER, &keys).arg(record).arg(UNACKNOWLEDGED_SECONDS);
        let created: bool = self.run_lasting(tag, &call).await?;
        if created {
            self.forget_unacknowledged(tag).await;
        }
        Ok(created)
    }

    /// Tries twice. If the answer to the first try was lost, the second try finds a record. The id in the record tells
    /// whether the first try wrote it.
    async fn create_record_at_once(&self, tag: Id, id: Uuid, record: Vec<u8>) -> Result<bool, Error> {
        let set = Request::command("SET").arg(self.keys().user(tag)).arg(record).arg("NX");
        match self.run::<Value>(tag, &set).await {
            Ok(answer) => return Ok(answer == Value::Okay),
            Err(Error::Unavailable(Outage::Timeout | Outage::Unreachable)) => {}
            Err(error) => return Err(error),
        }
        if self.run::<Value>(tag, &set).await? == Value::Okay {
            return Ok(true);
        }
        Ok(self.find_user(tag).await?.is_some_and(|stored| stored.user.id == id))
    }

    pub(crate) async fn is_unacknowledged(&self, tag: Id) -> Result<bool, Error> {
        if self.shared.wait.is_none() {
            return Ok(false);
        }
        self.run(tag, &Request::command("EXISTS").reading().arg(self.keys().unacknowledged(tag))).await
    }

    pub(crate) async fn acknowledge_user(&self, tag: Id) -> Result<(), Error> {
        let mark = self.keys().unacknowledged(tag);
        let set = Request::command("SET").arg(mark).arg(1).arg("EX").arg(UNACKNOWLEDGED_SECONDS);
        let () = self.run_lasting(tag, &set).await?;
        self.forget_unacknowledged(tag).await;
        Ok(())
    }

    /// Deletes the mark. If the deletion fails, the mark expires by itself. Until then, a repeated sign-up with the
    /// same password succeeds again.
    async fn forget_unacknowledged(&self, tag: Id) {
        let _ = self.run::<()>(tag, &Request::command("DEL").arg(self.keys().unacknowledged(tag))).await;
    }

    /// The account, after any move to another email is complete.
    pub(crate) async fn find_user(&self, tag: Id) -> Result<Option<StoredUser>, Error> {
        match self.read_user(tag).await? {
            Some(stored) if stored.mark.is_some() => Box::pin(self.settle(tag, stored)).await,
            found => Ok(found),
        }
    }

    /// The record as it is, which may have the mark of a move.
    pub(super) async fn read_user(&self, tag: Id) -> Result<Option<StoredUser>, Error> {
        let get = Request::command("GET").reading().arg(self.keys().user(tag));
        let found: Option<Vec<u8>> = self.run(tag, &get).await?;
        self.counted(found.map(decode_user).transpose())
    }

    pub(crate) async fn update_user(
        &self,
        tag: Id,
        expected: &StoredUser,
        user: &User,
        spent: Option<Spent<'_>>,
    ) -> Result<Outcome, Error> {
        let names = self.keys();
        let mut keys = vec![names.user(tag), names.epoch(tag)];
        keys.extend(spent.map(|spent| names.pending(tag, spent.kind)));
        let call = Request::call(&UPDATE_USER, &keys)
            .arg(&expected.revision)
            .arg(encode_changed_user(user, expected))
            .arg(changing_fields(user))
            .arg(spent.map_or(&[][..], |spent| spent.value));
        let updated: bool = self.run_lasting(tag, &call).await?;
        Ok(if updated { Outcome::Done } else { Outcome::NotThere })
    }

    pub(crate) async fn replace_user(
        &self,
        tag: Id,
        expected: &StoredUser,
        user: &User,
        spent: Option<Spent<'_>>,
    ) -> Result<Outcome, Error> {
        let record = encode_changed_user(user, expected);
        self.replace_record(tag, expected, &record, spent, &PendingKind::OF_A_PASSWORD).await
    }

    /// Replaces the record, ends all sessions, and deletes the pending entries of these kinds.
    pub(super) async fn replace_record(
        &self,
        tag: Id,
        expected: &StoredUser,
        record: &[u8],
        spent: Option<Spent<'_>>,
        ended: &[PendingKind],
    ) -> Result<Outcome, Error> {
        let names = self.keys();
        let mut keys = vec![names.user(tag), names.epoch(tag)];
        // The entry to spend is the first of the keys to delete.
        let kinds = spent.map(|spent| spent.kind).into_iter().chain(ended.iter().copied());
        keys.extend(kinds.map(|kind| names.pending(tag, kind)));
        if expected.user.password_resets_failures() {
            keys.push(names.failures(tag, None));
            keys.extend(expected.user.known_addresses.names().map(|known| names.failures(tag, Some(known))));
        }
        let has_spent = u8::from(spent.is_some());
        let value = spent.map_or(&[][..], |spent| spent.value);
        let call = || Request::call(&REPLACE_USER, &keys).arg(&expected.revision).arg(record).arg(has_spent).arg(value);
        self.end(tag, call).await
    }

    pub(crate) async fn delete_user(
        &self,
        tag: Id,
        expected: &StoredUser,
        caller: Option<Id>,
    ) -> Result<Outcome, Error> {
        let names = self.keys();
        let mut keys = self.keys_of(tag, &expected.user);
        keys.extend(caller.map(|sid| names.access(tag, sid)));
        let has_caller = u8::from(caller.is_some());
        self.end(tag, || Request::call(&DELETE_USER, &keys).arg(&expected.revision).arg(has_caller)).await
    }

    /// Every key of an account, except those of its sessions.
    pub(super) fn keys_of(&self, tag: Id, user: &User) -> Vec<Key<'_>> {
        let names = self.keys();
        let mut keys = vec![names.user(tag), names.epoch(tag), names.sessions(tag)];
        keys.extend([names.failures(tag, None), names.unacknowledged(tag), names.waited_for(tag)]);
        keys.extend(user.known_addresses.names().map(|known| names.failures(tag, Some(known))));
        keys.extend(PendingKind::ALL.map(|kind| names.pending(tag, kind)));
        keys
    }
}
