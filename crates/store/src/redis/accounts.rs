//! The operations on accounts. `accounts.rs` of the store has their contracts.

use std::sync::LazyLock;

use auth_service_records::{
    error::{Error, Outage},
    session::Outcome,
    user::User,
};
use auth_service_token::Id;
use redis::{Script, Value};

use super::{net::request::Request, script::script, store::Redis};
use crate::record::{StoredUser, decode_user, encode_user};

/// How long a client can repeat a sign-up that too few replicas have confirmed.
const UNACKNOWLEDGED_SECONDS: u64 = 600;

static CREATE_USER: LazyLock<Script> = script!("create_user");
static DELETE_USER: LazyLock<Script> = script!("entries", "delete_user");

impl Redis {
    pub(crate) async fn create_user(&self, tag: Id, user: &User) -> Result<bool, Error> {
        let record = encode_user(user);
        if self.shared.wait.is_none() {
            return self.create_user_at_once(tag, user, record).await;
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
    async fn create_user_at_once(&self, tag: Id, user: &User, record: Vec<u8>) -> Result<bool, Error> {
        let set = Request::command("SET").arg(self.keys().user(tag)).arg(record).arg("NX");
        match self.run::<Value>(tag, &set).await {
            Ok(answer) => return Ok(answer == Value::Okay),
            Err(Error::Unavailable(Outage::Timeout | Outage::Unreachable)) => {}
            Err(error) => return Err(error),
        }
        if self.run::<Value>(tag, &set).await? == Value::Okay {
            return Ok(true);
        }
        Ok(self.find_user(tag).await?.is_some_and(|stored| stored.user.id == user.id))
    }

    pub(crate) async fn is_unacknowledged(&self, tag: Id) -> Result<bool, Error> {
        if self.shared.wait.is_none() {
            return Ok(false);
        }
        self.run(tag, &Request::command("EXISTS").arg(self.keys().unacknowledged(tag))).await
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

    pub(crate) async fn find_user(&self, tag: Id) -> Result<Option<StoredUser>, Error> {
        let found: Option<Vec<u8>> = self.run(tag, &Request::command("GET").arg(self.keys().user(tag))).await?;
        found.map(decode_user).transpose()
    }

    pub(crate) async fn delete_user(
        &self,
        tag: Id,
        expected: &StoredUser,
        caller: Option<Id>,
    ) -> Result<Outcome, Error> {
        let names = self.keys();
        let mut keys = vec![names.user(tag), names.epoch(tag), names.sessions(tag)];
        keys.extend([names.failures(tag, None), names.unacknowledged(tag), names.waited_for(tag)]);
        keys.extend(expected.user.known_addresses.names().map(|known| names.failures(tag, Some(known))));
        keys.extend(caller.map(|sid| names.access(tag, sid)));
        let call = Request::call(&DELETE_USER, &keys).arg(&expected.revision).arg(u8::from(caller.is_some()));
        self.run_outcome(tag, &call).await
    }
}
