//! Refreshes and renewals: one script each. `sessions.rs` of the store has their contracts.

use std::sync::LazyLock;

use auth_service_records::{
    error::Error,
    session::{Refreshed, Renewed, Successor},
};
use auth_service_token::Id;
use redis::{Script, Value};

use super::{
    net::request::Request,
    script::script,
    store::{Redis, decode, unreadable},
};

static REFRESH: LazyLock<Script> = script!("entries", "presented", "refresh");
static RENEW: LazyLock<Script> = script!("entries", "presented", "renew");

impl Redis {
    pub(crate) async fn refresh(
        &self,
        tag: Id,
        sid: Id,
        refresh_id: Id,
        next_id: Option<Id>,
    ) -> Result<Refreshed, Error> {
        let (names, policy) = (self.keys(), self.policy());
        let keys = [names.epoch(tag), names.access(tag, sid), names.refresh(tag, sid), names.sessions(tag)];
        let call = Request::call(&REFRESH, &keys)
            .arg(refresh_id.as_str())
            .arg(next_id.as_ref().map_or("", Id::as_str))
            .arg(policy.access_seconds)
            .arg(policy.refresh_seconds)
            .arg(policy.grace_seconds)
            .arg(self.now_seconds())
            .arg(sid.as_str());
        match self.run(tag, &call).await? {
            Value::Nil => Ok(Refreshed::Gone),
            Value::Array(answer) if answer.len() == 1 => {
                let (access_seconds,) = decode(Value::Array(answer))?;
                Ok(Refreshed::Live { access_seconds, successor: None })
            }
            answer @ Value::Array(_) => {
                let (access_seconds, refresh_id, iat, exp): (u64, String, u64, u64) = decode(answer)?;
                let refresh_id = Id::parse(&refresh_id).ok_or_else(|| unreadable("a refresh entry"))?;
                Ok(Refreshed::Live { access_seconds, successor: Some(Successor { refresh_id, iat, exp }) })
            }
            answer => {
                decode::<String>(answer)?;
                Ok(Refreshed::Reused)
            }
        }
    }

    pub(crate) async fn renew(&self, tag: Id, sid: Id, refresh_id: Id) -> Result<Renewed, Error> {
        let (names, policy) = (self.keys(), self.policy());
        let keys = [names.epoch(tag), names.access(tag, sid), names.refresh(tag, sid)];
        let call = Request::call(&RENEW, &keys)
            .arg(refresh_id.as_str())
            .arg(policy.access_seconds)
            .arg(policy.grace_seconds)
            .arg(self.now_seconds())
            .arg(sid.as_str());
        let seconds: i64 = self.run(tag, &call).await?;
        Ok(match u64::try_from(seconds) {
            Err(_) => Renewed::Reused,
            Ok(0) => Renewed::Gone,
            Ok(access_seconds) => Renewed::Live { access_seconds },
        })
    }
}
