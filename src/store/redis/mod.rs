//! The store on Redis: which commands make up each operation.

mod keys;
mod link;
mod scripts;

use std::sync::Arc;

use redis::{ErrorKind, RedisError, ScriptInvocation, ServerErrorKind, Value};

use self::{
    link::{Address, Link},
    scripts::Scripts,
};
use super::{OpenError, StoredUser, decode_profile, decode_user, encode_user};
use crate::{
    error::{Error, Outage},
    id::Id,
    secret::Secret,
    session::{NewSession, Origin, Outcome, Refreshed, Session, SessionPolicy, Successor},
    throttle::{self, Admission, Counter, Limit},
    user::{Profile, User},
};

/// Life of the key that a readiness check writes, in milliseconds.
const PROBE_MILLIS: u64 = 1_000;

/// What all runtimes of the process share.
pub struct Backend {
    address: Address,
    policy: SessionPolicy,
    scripts: Scripts,
}

/// One runtime's store.
pub struct Redis {
    backend: Arc<Backend>,
    link: Link,
}

impl Backend {
    pub(super) fn new(url: &Secret, policy: SessionPolicy) -> Result<Self, OpenError> {
        Ok(Self { address: Address::new(url)?, policy, scripts: Scripts::new() })
    }

    pub(super) fn address(&self) -> &str {
        self.address.name()
    }

    pub(super) async fn connect(self: Arc<Self>) -> Redis {
        Redis { link: Link::start(self.address.clone()).await, backend: self }
    }

    /// On an exclusive connection: the server's role, and the scripts loaded so that the first request finds them.
    pub(super) async fn check(&self) -> Result<Option<String>, OpenError> {
        let name = self.address.name();
        let not_ready = |error: &RedisError| Ok(Some(format!("Redis at {name} is not ready: {}", link::reason(error))));
        let mut connection = match self.address.exclusive().await {
            Ok(connection) => connection,
            Err(link::ExclusiveError::Redis(error)) if link::is_refusal(&error) => {
                return Err(OpenError::Settings(format!(
                    "Redis at {name} refused REDIS_URL's user name, password or database: {}",
                    link::reason(&error)
                )));
            }
            Err(error) => return Ok(Some(format!("Redis at {name} cannot be reached: {error}"))),
        };
        match link::check_role(&mut connection).await {
            Ok(()) => {}
            Err(error) if link::is_replica(&error) => {
                return Err(OpenError::Settings(format!(
                    "REDIS_URL names {name}, which is a replica: name the primary, only it takes writes"
                )));
            }
            Err(error) => return not_ready(&error),
        }
        match self.scripts.load().query_async::<()>(&mut connection).await {
            Ok(()) => Ok(None),
            Err(error) => not_ready(&error),
        }
    }
}

impl Redis {
    /// Tries twice: if the first try's answer was lost, the second finds a record, and the record's id tells whose it is.
    pub(super) async fn create_user(&self, tag: Id, user: &User) -> Result<bool, Error> {
        let (key, record) = (keys::user(tag), encode_user(user)?);
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(&record).arg("NX");
        match self.link.run::<Value>(&set).await {
            Ok(answer) => return Ok(answer == Value::Okay),
            Err(Error::Unavailable(Outage::Timeout | Outage::Unreachable)) => {}
            Err(error) => return Err(error),
        }
        if self.link.run::<Value>(&set).await? == Value::Okay {
            return Ok(true);
        }
        Ok(self.find_user(tag).await?.is_some_and(|stored| stored.user.id == user.id))
    }

    pub(super) async fn find_user(&self, tag: Id) -> Result<Option<StoredUser>, Error> {
        let record: Option<Vec<u8>> = self.link.run(redis::cmd("GET").arg(keys::user(tag))).await?;
        record.map(decode_user).transpose()
    }

    pub(super) async fn delete_user(
        &self,
        tag: Id,
        seen: Option<&StoredUser>,
        asking: Option<Id>,
    ) -> Result<Outcome, Error> {
        let mut invocation = self.backend.scripts.delete_user.prepare_invoke();
        invocation.key(keys::user(tag)).key(keys::epoch(tag)).key(keys::index(tag));
        invocation.key(keys::failures(tag)).key(keys::known_addresses(tag));
        invocation.arg(seen.map_or(&[][..], |seen| &seen.revision));
        self.run_asking(invocation, tag, asking).await
    }

    pub(super) async fn open_session(
        &self,
        tag: Id,
        seen: &StoredUser,
        upgraded: Option<&User>,
        session: &NewSession,
        address: Id,
    ) -> Result<bool, Error> {
        let NewSession { sid, epoch, refresh_id, origin } = session;
        let policy = self.backend.policy;
        let longest = policy.max_age_seconds.unwrap_or(u64::MAX);
        let mut invocation = self.backend.scripts.open_session.prepare_invoke();
        invocation
            .key(keys::user(tag))
            .key(keys::epoch(tag))
            .key(keys::access(tag, *sid))
            .key(keys::session(tag, *sid));
        invocation.key(keys::index(tag)).key(keys::failures(tag)).key(keys::known_addresses(tag));
        invocation.arg(&seen.revision).arg(upgraded.map(encode_user).transpose()?.unwrap_or_default());
        invocation.arg(epoch.as_str()).arg(policy.access_seconds.min(longest)).arg(policy.refresh_seconds.min(longest));
        invocation.arg(sid.as_str()).arg(refresh_id.as_str()).arg(&origin.ip).arg(&origin.user_agent);
        invocation.arg(policy.max_age_seconds.unwrap_or(0)).arg(policy.max_sessions);
        invocation.arg(address.as_str()).arg(throttle::KNOWN_SECONDS).arg(throttle::KNOWN_ADDRESSES);
        self.link.run_script(&invocation).await
    }

    pub(super) async fn check_access(&self, tag: Id, sid: Id) -> Result<bool, Error> {
        let mut get = redis::cmd("MGET");
        get.arg(keys::epoch(tag)).arg(keys::access(tag, sid));
        let (epoch, entry): (Option<Vec<u8>>, Option<Vec<u8>>) = self.link.run(&get).await?;
        Ok(epoch.is_some() && epoch == entry)
    }

    pub(super) async fn profile(&self, tag: Id, sid: Id) -> Result<Option<Profile>, Error> {
        type Found = Option<Vec<u8>>;
        let mut get = redis::cmd("MGET");
        get.arg(keys::epoch(tag)).arg(keys::access(tag, sid)).arg(keys::user(tag));
        let (epoch, entry, record): (Found, Found, Found) = self.link.run(&get).await?;
        if epoch.is_none() || epoch != entry {
            return Ok(None);
        }
        decode_profile(&record.ok_or(Error::UserNotFound)?).map(Some)
    }

    pub(super) async fn refresh(&self, tag: Id, sid: Id, refresh_id: Id, next_id: Id) -> Result<Refreshed, Error> {
        let policy = self.backend.policy;
        let mut invocation = self.backend.scripts.refresh.prepare_invoke();
        invocation.key(keys::epoch(tag)).key(keys::access(tag, sid)).key(keys::session(tag, sid)).key(keys::index(tag));
        invocation.arg(refresh_id.as_str()).arg(if policy.rotation { next_id.as_str() } else { "" });
        invocation.arg(policy.access_seconds).arg(policy.refresh_seconds).arg(policy.grace_seconds).arg(sid.as_str());
        match self.link.run_script(&invocation).await? {
            Value::Nil => Ok(Refreshed::Gone),
            Value::Array(found) => {
                let (access_seconds, refresh_id, iat, end): (u64, String, u64, u64) =
                    redis::from_redis_value(Value::Array(found)).map_err(RedisError::from)?;
                let end = if end == 0 { u64::MAX } else { end };
                let successor = Id::parse(&refresh_id).map(|refresh_id| Successor {
                    refresh_id,
                    iat,
                    exp: (iat + policy.refresh_seconds).min(end),
                });
                Ok(Refreshed::Live { access_seconds, successor })
            }
            _ => Ok(Refreshed::Reused),
        }
    }

    pub(super) async fn renew(&self, tag: Id, sid: Id, refresh_id: Id) -> Result<Option<u64>, Error> {
        let policy = self.backend.policy;
        let mut invocation = self.backend.scripts.renew.prepare_invoke();
        invocation.key(keys::epoch(tag)).key(keys::access(tag, sid)).key(keys::session(tag, sid));
        invocation.arg(refresh_id.as_str()).arg(policy.access_seconds).arg(policy.grace_seconds);
        let seconds: u64 = self.link.run_script(&invocation).await?;
        Ok((seconds > 0).then_some(seconds))
    }

    pub(super) async fn list_sessions(&self, tag: Id, asking: Option<Id>) -> Result<Option<Vec<Session>>, Error> {
        let mut invocation = self.backend.scripts.list_sessions.prepare_invoke();
        invocation.key(keys::epoch(tag)).key(keys::index(tag));
        if let Some(sid) = asking {
            invocation.key(keys::access(tag, sid));
        }
        type Row = (String, u64, u64, String, String);
        let rows: Option<Vec<Row>> = self.link.run_script(&invocation).await?;
        let session = |(sid, created_at, last_used_at, ip, user_agent): Row| {
            let sid = Id::parse(&sid)?;
            Some(Session { sid, created_at, last_used_at, origin: Origin { ip, user_agent } })
        };
        Ok(rows.map(|rows| rows.into_iter().filter_map(session).collect()))
    }

    pub(super) async fn end_session(&self, tag: Id, sid: Id, asking: Option<Id>) -> Result<Outcome, Error> {
        let mut invocation = self.backend.scripts.end_session.prepare_invoke();
        invocation.key(keys::epoch(tag)).key(keys::index(tag)).key(keys::access(tag, sid)).key(keys::session(tag, sid));
        invocation.arg(sid.as_str());
        self.run_asking(invocation, tag, asking).await
    }

    pub(super) async fn keep_only(
        &self,
        tag: Id,
        sid: Id,
        epoch: Id,
        change: Option<(&StoredUser, &User)>,
    ) -> Result<Outcome, Error> {
        let (seen, record) = match change {
            Some((seen, user)) => (seen.revision.as_slice(), encode_user(user)?),
            None => (&[][..], Vec::new()),
        };
        let mut invocation = self.backend.scripts.keep_only.prepare_invoke();
        invocation.key(keys::epoch(tag)).key(keys::access(tag, sid)).key(keys::session(tag, sid)).key(keys::index(tag));
        invocation.key(keys::user(tag)).key(keys::failures(tag));
        invocation.arg(epoch.as_str()).arg(sid.as_str()).arg(seen).arg(record);
        self.run_asking(invocation, tag, None).await
    }

    pub(super) async fn remove_tokens(&self, tag: Id, asking: Option<Id>) -> Result<Outcome, Error> {
        if asking.is_some() {
            let mut invocation = self.backend.scripts.remove_tokens.prepare_invoke();
            invocation.key(keys::epoch(tag));
            return self.run_asking(invocation, tag, asking).await;
        }
        let removed: bool = self.link.run(redis::cmd("DEL").arg(keys::epoch(tag))).await?;
        Ok(if removed { Outcome::Done } else { Outcome::NotThere })
    }

    pub(super) async fn admit(&self, tag: Id, address: Id) -> Result<Admission, Error> {
        let mut invocation = self.backend.scripts.admit.prepare_invoke();
        invocation.key(keys::failures(tag)).key(keys::known_addresses(tag));
        invocation.arg(address.as_str()).arg(throttle::KNOWN_SECONDS).arg(throttle::FORGET_SECONDS);
        invocation.arg(throttle::FREE_FAILURES).arg(throttle::LONGEST_WAIT_SECONDS);
        let wait: i64 = self.link.run_script(&invocation).await?;
        Ok(match u64::try_from(wait) {
            Err(_) => Admission::Known,
            Ok(0) => Admission::Counted,
            Ok(seconds) => Admission::Wait(seconds),
        })
    }

    pub(super) async fn withdraw(&self, tag: Id) -> Result<(), Error> {
        let mut invocation = self.backend.scripts.withdraw.prepare_invoke();
        invocation.key(keys::failures(tag));
        self.link.run_script(&invocation).await
    }

    pub(super) async fn count(
        &self,
        counter: Counter,
        address: Id,
        limit: Limit,
        add: u64,
    ) -> Result<Option<u64>, Error> {
        let mut invocation = self.backend.scripts.count.prepare_invoke();
        invocation.key(keys::counter(counter, address)).arg(limit.count).arg(limit.seconds).arg(add);
        let wait: u64 = self.link.run_script(&invocation).await?;
        Ok((wait > 0).then_some(wait))
    }

    pub(super) async fn ready(&self) -> Result<(), Error> {
        self.link.run(redis::cmd("SET").arg(keys::PROBE).arg(1).arg("PX").arg(PROBE_MILLIS)).await
    }

    /// Runs a script that answers 1 for done, 0 for not there, -1 if the asking session has ended.
    async fn run_asking(
        &self,
        mut invocation: ScriptInvocation<'_>,
        tag: Id,
        asking: Option<Id>,
    ) -> Result<Outcome, Error> {
        if let Some(sid) = asking {
            invocation.key(keys::access(tag, sid));
        }
        Ok(match self.link.run_script(&invocation).await? {
            1 => Outcome::Done,
            0 => Outcome::NotThere,
            _ => Outcome::Refused,
        })
    }
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        match outage(&error) {
            Some(outage) => Self::Unavailable(outage),
            // The server's text names commands and keys, and a key holds no email.
            None => Self::Internal(format!("Redis: {}", link::reason(&error))),
        }
    }
}

/// `None` for answers that no retry will change.
fn outage(error: &RedisError) -> Option<Outage> {
    if error.is_timeout() {
        return Some(Outage::Timeout);
    }
    match error.kind() {
        ErrorKind::Io => return Some(Outage::Unreachable),
        ErrorKind::AuthenticationFailed => return Some(Outage::Refused),
        ErrorKind::Server(kind) => match kind {
            ServerErrorKind::BusyLoading => return Some(Outage::Loading),
            ServerErrorKind::ReadOnly => return Some(Outage::ReadOnly),
            ServerErrorKind::ResponseError => {}
            _ => return Some(Outage::Refused),
        },
        _ => {}
    }
    // Before Redis 7 an error inside a script arrives as ERR with the real code in the text.
    let (code, text) = (error.code().unwrap_or_default(), error.detail().unwrap_or_default());
    let is = |wanted: &str| code == wanted || (code == "ERR" && text.contains(wanted));
    if is("OOM") {
        Some(Outage::OutOfMemory)
    } else if is("NOREPLICAS") {
        Some(Outage::NotReplicated)
    } else if is("READONLY") || is("MISCONF") {
        Some(Outage::ReadOnly)
    } else if text.contains("The user executing the script can't")
        || ["NOAUTH", "WRONGPASS", "NOPERM", "BUSY", "UNBLOCKED", "NOGOODSLAVE"].contains(&code)
    {
        Some(Outage::Refused)
    } else {
        None
    }
}
