//! The refresh, which is as frequent as a token check where tokens live for a minute: without a script where it can be.

use std::sync::atomic::Ordering;

use redis::Value;

use super::{Found, Redis, decode, keys, names, number, request::Request};
use crate::{
    clock::{LEEWAY_SECONDS, unix_millis},
    error::Error,
    id::Id,
    session::{Refreshed, Successor},
};

/// Of a session at the least, see `scripts/session.lua`.
const SESSION_BYTES: usize = 92;

/// Life of a key that a refresh makes where there is no session, should the server not come to delete it.
const NO_SESSION_SECONDS: u64 = 10;

/// What a try at a plain refresh comes to.
enum Plain {
    Done(Refreshed),
    /// It takes the script. `access_end` is what stood in the session, and has been written over.
    No {
        access_end: u64,
    },
}

impl Redis {
    pub(in crate::store) async fn refresh(
        &self,
        tag: Id,
        sid: Id,
        refresh_id: Id,
        refresh_end: u64,
        next_id: Option<Id>,
    ) -> Result<Refreshed, Error> {
        let policy = self.backend.policy;
        let now = unix_millis();
        let lives_until = now + (policy.access_seconds + LEEWAY_SECONDS) * 1_000;
        let longer = lives_until >= refresh_end.saturating_mul(1_000);
        // What is sent at once cannot depend on an answer, and a token that has ended must not make anything live longer.
        let by_script = next_id.is_some()
            || policy.max_age_seconds.is_some()
            || refresh_end <= now / 1_000
            || (longer && self.backend.without_expire_gt.load(Ordering::Relaxed));
        let access_end = if by_script {
            0
        } else {
            match self.refresh_plainly(tag, sid, refresh_id, now, longer).await? {
                Plain::Done(refreshed) => return Ok(refreshed),
                Plain::No { access_end } => access_end,
            }
        };
        self.refresh_by_script(tag, sid, refresh_id, next_id, now, access_end).await
    }

    /// A script would cost Redis three times as much. What the look at both keys shows decides, so that it does not matter
    /// what comes between it and the write: that one changes only what each refresh changes. Where the session is no more,
    /// the write would make a key that never expires, but for the one that is set before it; it names no epoch, and so is no
    /// session either. With `longer`, session and epoch live on for the new token, if they live no longer anyway: first, so
    /// that neither ends before the write. (They do so before it is known whether the refresh is good; if it is not, a
    /// removal may find something to remove for one access token's life after the last token's end.)
    async fn refresh_plainly(&self, tag: Id, sid: Id, refresh_id: Id, now: u64, longer: bool) -> Result<Plain, Error> {
        let access_seconds = self.backend.policy.access_seconds;
        let access_end = now + access_seconds * 1_000;
        let (epoch_key, key) = (&keys::epoch(tag), &keys::session(tag, sid));
        let mut request = Request::command("MGET").arg(epoch_key).arg(key);
        if longer {
            request = request.and("EXPIRE").arg(key).arg(access_seconds).arg("GT");
            request = request.and("EXPIRE").arg(epoch_key).arg(access_seconds).arg("GT");
        }
        let request = request.and("SET").arg(key).arg("").arg("NX").arg("EX").arg(NO_SESSION_SECONDS);
        let request = request.and("SETRANGE").arg(key).arg(23).arg(format!("{access_end} {}", now / 1_000));
        let mut answers: Vec<Value> = match self.run(tag, &request).await {
            Err(Error::Internal(why)) if why.contains("wrong number of arguments") => {
                // What stood there is not known then: later than ours only by the clock or the settings of another server.
                self.backend.without_expire_gt.store(true, Ordering::Relaxed);
                return Ok(Plain::No { access_end: 0 });
            }
            answers => answers?,
        };
        let length: usize = decode(answers.pop().unwrap_or(Value::Nil))?;
        let found: (Found, Found) = decode(answers.into_iter().next().unwrap_or(Value::Nil))?;
        if length < SESSION_BYTES {
            // It ends by itself, too.
            let _ = self.run::<()>(tag, &Request::command("DEL").arg(key)).await;
            return Ok(Plain::Done(Refreshed::Gone));
        }
        let (Some(epoch), Some(session)) = found else { return Ok(Plain::Done(Refreshed::Gone)) };
        if !names(&session, &epoch) {
            return Ok(Plain::Done(Refreshed::Gone));
        }
        let access_end_found = number(&session, 23..36).unwrap_or(0);
        let until = if longer { now } else { access_end + LEEWAY_SECONDS * 1_000 };
        let is_plain = session.get(59..81) == Some(refresh_id.as_str().as_bytes())
            && session.get(93..99) == Some(b"0 - 0 ")
            && access_end_found <= access_end
            && number(&session, 48..58).is_some_and(|token_end| until / 1_000 < token_end);
        Ok(match is_plain {
            true => Plain::Done(Refreshed::Live { access_seconds, successor: None }),
            false => Plain::No { access_end: access_end_found },
        })
    }

    async fn refresh_by_script(
        &self,
        tag: Id,
        sid: Id,
        refresh_id: Id,
        next_id: Option<Id>,
        now: u64,
        access_end: u64,
    ) -> Result<Refreshed, Error> {
        let policy = self.backend.policy;
        let call = Request::call(&self.backend.scripts.refresh, &[keys::epoch(tag), keys::session(tag, sid)])
            .arg(refresh_id.as_str())
            .arg(next_id.as_ref().map_or("", Id::as_str))
            .arg(policy.access_seconds)
            .arg(policy.refresh_seconds)
            .arg(policy.grace_seconds)
            .arg(sid.as_str())
            .arg(now)
            .arg(access_end);
        match self.run(tag, &call).await? {
            Value::Nil => Ok(Refreshed::Gone),
            rotated @ Value::Array(_) => {
                let (access_seconds, refresh_id, iat, end): (u64, String, u64, u64) = decode(rotated)?;
                let end = if end == 0 { u64::MAX } else { end };
                let successor = Id::parse(&refresh_id).map(|refresh_id| Successor {
                    refresh_id,
                    iat,
                    exp: (iat + policy.refresh_seconds).min(end),
                });
                Ok(Refreshed::Live { access_seconds, successor })
            }
            Value::BulkString(text) if text == b"reused" => Ok(Refreshed::Reused),
            without_rotation => Ok(Refreshed::Live { access_seconds: decode(without_rotation)?, successor: None }),
        }
    }
}
