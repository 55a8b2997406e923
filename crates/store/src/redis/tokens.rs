//! Refreshes and renewals: one script each. `sessions.rs` of the store has their contracts.

use std::sync::LazyLock;

use auth_service_records::{
    error::Error,
    session::{Refreshed, Renewed, Successor},
};
use auth_service_token::Id;
use redis::{Script, Value};

use super::{
    net::request::{Mode, Request},
    script::script,
    store::{Redis, decode, unreadable},
};

static REFRESH: LazyLock<Script> = script!("entries", "ending", "presented", "refresh");
static RENEW: LazyLock<Script> = script!("entries", "ending", "presented", "renew");

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
        let now = self.now_seconds();
        let call = || {
            Request::call(&REFRESH, &keys)
                .arg(refresh_id.as_str())
                .arg(next_id.as_ref().map_or("", Id::as_str))
                .arg(policy.access_seconds)
                .arg(policy.refresh_seconds)
                .arg(policy.grace_seconds)
                .arg(now)
                .arg(sid.as_str())
        };
        match self.run_ending(tag, Mode::Shared, call).await? {
            Value::Nil => Ok(Refreshed::Gone),
            Value::Array(answer) if answer.len() == 2 => {
                let (access_seconds, epoch): (u64, String) = decode(Value::Array(answer))?;
                Ok(Refreshed::Live { access_seconds, epoch: parse(&epoch)?, successor: None })
            }
            answer @ Value::Array(_) => {
                let (access_seconds, epoch, refresh_id, iat, exp): (u64, String, String, u64, u64) = decode(answer)?;
                let successor = Successor { refresh_id: parse(&refresh_id)?, iat, exp };
                Ok(Refreshed::Live { access_seconds, epoch: parse(&epoch)?, successor: Some(successor) })
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
        let now = self.now_seconds();
        let call = || {
            Request::call(&RENEW, &keys)
                .arg(refresh_id.as_str())
                .arg(policy.access_seconds)
                .arg(policy.grace_seconds)
                .arg(now)
                .arg(sid.as_str())
        };
        match self.run_ending(tag, Mode::Shared, call).await? {
            Value::Nil => Ok(Renewed::Gone),
            answer @ Value::Array(_) => {
                let (access_seconds, epoch): (u64, String) = decode(answer)?;
                Ok(Renewed::Live { access_seconds, epoch: parse(&epoch)? })
            }
            answer => {
                decode::<String>(answer)?;
                Ok(Renewed::Reused)
            }
        }
    }
}

fn parse(id: &str) -> Result<Id, Error> {
    Id::parse(id).ok_or_else(|| unreadable("an entry of a session"))
}
