//! The store on Redis: which commands make up each operation.

mod address;
mod backend;
mod cluster;
mod connection;
mod inspect;
mod keys;
mod link;
mod refresh;
mod replicated;
mod request;
mod scripts;
mod sentinel;
mod slots;

use std::{ops::Range, sync::Arc};

use redis::{ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value};
use uuid::Uuid;

pub(super) use self::backend::Backend;
use self::{
    cluster::Cluster,
    link::Link,
    request::{Mode, Request},
};
use super::{StoredUser, decode_user, encode_user, record};
use crate::{
    clock::unix_millis,
    error::{Error, Outage},
    id::{ID_LEN, Id},
    session::{NewSession, Origin, Outcome, Session},
    throttle::{self, Admission, Counter, Limit},
    user::{Profile, User},
};

/// Life of the key that a readiness check writes, in milliseconds.
const PROBE_MILLIS: u64 = 1_000;

/// How long a sign-up that too few replicas had can be repeated.
const UNACKNOWLEDGED_SECONDS: u64 = 600;

/// One runtime's store.
pub struct Redis {
    backend: Arc<Backend>,
    servers: Servers,
}

/// Where requests go.
enum Servers {
    One(Link),
    Cluster(Cluster),
}

impl Servers {
    /// `tag` is the hash tag of all keys of the request.
    async fn run<T: FromRedisValue>(&self, tag: Id, request: &Request<'_>, mode: Mode) -> Result<T, Error> {
        let answer = match self {
            Self::One(link) => link.run(request, mode, false).await?,
            Self::Cluster(cluster) => Box::pin(cluster.run(tag, request, mode)).await?,
        };
        decode(answer)
    }
}

impl Redis {
    async fn run<T: FromRedisValue>(&self, tag: Id, request: &Request<'_>) -> Result<T, Error> {
        self.servers.run(tag, request, Mode::Shared).await
    }

    /// For writes that a failover must not undo once they are acknowledged.
    fn lasting(&self, tag: Id) -> Mode {
        self.backend.wait.map_or(Mode::Shared, |wait| Mode::Replicated(wait, tag))
    }

    /// Tries twice: if the first try's answer was lost, the second finds a record, and the record's id tells whose it is.
    pub(super) async fn create_user(&self, tag: Id, user: &User) -> Result<bool, Error> {
        let (key, record) = (keys::user(tag), encode_user(user));
        if self.backend.wait.is_some() {
            let call = Request::call(&self.backend.scripts.create_user, &[key, keys::unacknowledged(tag)]);
            let call = call.arg(record).arg(UNACKNOWLEDGED_SECONDS);
            let created: bool = self.servers.run(tag, &call, self.lasting(tag)).await?;
            if created {
                self.forget_unacknowledged(tag).await;
            }
            return Ok(created);
        }
        let set = Request::command("SET").arg(key).arg(record).arg("NX");
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

    pub(super) async fn is_unacknowledged(&self, tag: Id) -> Result<bool, Error> {
        if self.backend.wait.is_none() {
            return Ok(false);
        }
        self.run(tag, &Request::command("EXISTS").arg(keys::unacknowledged(tag))).await
    }

    pub(super) async fn acknowledge_user(&self, tag: Id) -> Result<(), Error> {
        let set = Request::command("SET").arg(keys::unacknowledged(tag)).arg(1).arg("EX").arg(UNACKNOWLEDGED_SECONDS);
        let () = self.servers.run(tag, &set, self.lasting(tag)).await?;
        self.forget_unacknowledged(tag).await;
        Ok(())
    }

    /// If this fails the mark ends by itself; until then a repeated sign-up with the same password succeeds once more.
    async fn forget_unacknowledged(&self, tag: Id) {
        let _ = self.run::<()>(tag, &Request::command("DEL").arg(keys::unacknowledged(tag))).await;
    }

    pub(super) async fn find_user(&self, tag: Id) -> Result<Option<StoredUser>, Error> {
        let found: Option<Vec<u8>> = self.run(tag, &Request::command("GET").arg(keys::user(tag))).await?;
        found.map(|found| decode_user(record(&found).to_vec())).transpose()
    }

    pub(super) async fn delete_user(
        &self,
        tag: Id,
        seen: Option<&StoredUser>,
        asking: Option<Id>,
    ) -> Result<Outcome, Error> {
        let keys = [keys::user(tag), keys::epoch(tag), keys::failures(tag)];
        let call =
            Request::call_for(asking.map(|sid| keys::session(tag, sid)), &self.backend.scripts.delete_user, &keys);
        self.run_asking(call.arg(seen.map_or(&[][..], |seen| &seen.revision)), tag).await
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
        let keys = [keys::user(tag), keys::epoch(tag), keys::session(tag, *sid), keys::failures(tag)];
        let call = Request::call(&self.backend.scripts.open_session, &keys)
            .arg(&seen.revision)
            .arg(upgraded.map(encode_user).unwrap_or_default())
            .arg(epoch.as_str())
            .arg(policy.refresh_seconds.min(longest))
            .arg(sid.as_str())
            .arg(refresh_id.as_str())
            .arg(format!("{} {} {} {}", seen.user.created_at, seen.user.email, origin.ip, origin.user_agent))
            .arg(policy.max_age_seconds.unwrap_or(0))
            .arg(policy.max_sessions)
            .arg(address.as_str())
            .arg(throttle::KNOWN_DAYS)
            .arg(throttle::KNOWN_ADDRESSES)
            .arg(unix_millis() + policy.access_seconds.min(longest) * 1_000);
        self.run(tag, &call).await
    }

    pub(super) async fn check_access(&self, tag: Id, sid: Id) -> Result<bool, Error> {
        Ok(self.live_session(tag, sid).await?.is_some())
    }

    pub(super) async fn profile(&self, tag: Id, sid: Id, id: Uuid) -> Result<Option<Profile>, Error> {
        Ok(self.live_session(tag, sid).await?.and_then(|session| profile_in(&session, id)))
    }

    /// The session as it is stored, if it has a live access token.
    async fn live_session(&self, tag: Id, sid: Id) -> Result<Found, Error> {
        let get = Request::command("MGET").arg(keys::epoch(tag)).arg(keys::session(tag, sid));
        let (epoch, session): (Found, Found) = self.run(tag, &get).await?;
        let lives = |epoch: &[u8], session: &[u8]| {
            names(session, epoch) && number(session, 23..36).is_some_and(|access_end| access_end > unix_millis())
        };
        Ok(epoch.zip(session).and_then(|(epoch, session)| lives(&epoch, &session).then_some(session)))
    }

    pub(super) async fn renew(&self, tag: Id, sid: Id, refresh_id: Id) -> Result<Option<u64>, Error> {
        let policy = self.backend.policy;
        let call = Request::call(&self.backend.scripts.renew, &[keys::epoch(tag), keys::session(tag, sid)])
            .arg(refresh_id.as_str())
            .arg(policy.access_seconds)
            .arg(policy.grace_seconds)
            .arg(unix_millis());
        let seconds: u64 = self.run(tag, &call).await?;
        Ok((seconds > 0).then_some(seconds))
    }

    pub(super) async fn list_sessions(&self, tag: Id, asking: Option<Id>) -> Result<Option<Vec<Session>>, Error> {
        let scripts = &self.backend.scripts;
        let call =
            Request::call_for(asking.map(|sid| keys::session(tag, sid)), &scripts.list_sessions, &[keys::epoch(tag)])
                .arg(unix_millis());
        type Row = (String, u64, u64, String, String);
        let rows: Option<Vec<Row>> = self.run(tag, &call).await?;
        let session = |(sid, created_at, last_used_at, ip, user_agent): Row| {
            let sid = Id::parse(&sid)?;
            Some(Session { sid, created_at, last_used_at, origin: Origin { ip, user_agent } })
        };
        Ok(rows.map(|rows| rows.into_iter().filter_map(session).collect()))
    }

    pub(super) async fn end_session(&self, tag: Id, sid: Id, asking: Option<Id>) -> Result<Outcome, Error> {
        let keys = [keys::epoch(tag), keys::session(tag, sid)];
        let call =
            Request::call_for(asking.map(|sid| keys::session(tag, sid)), &self.backend.scripts.end_session, &keys);
        self.run_asking(call.arg(sid.as_str()), tag).await
    }

    pub(super) async fn keep_only(
        &self,
        tag: Id,
        sid: Id,
        epoch: Id,
        change: Option<(&StoredUser, &User)>,
    ) -> Result<Outcome, Error> {
        let (seen, record) = match change {
            Some((seen, user)) => (seen.revision.as_slice(), encode_user(user)),
            None => (&[][..], Vec::new()),
        };
        let keys = [keys::epoch(tag), keys::session(tag, sid), keys::user(tag), keys::failures(tag)];
        let call = Request::call(&self.backend.scripts.keep_only, &keys);
        self.run_asking(call.arg(epoch.as_str()).arg(sid.as_str()).arg(seen).arg(record), tag).await
    }

    pub(super) async fn remove_tokens(&self, tag: Id, asking: Option<Id>) -> Result<Outcome, Error> {
        if asking.is_some() {
            let call = Request::call_for(
                asking.map(|sid| keys::session(tag, sid)),
                &self.backend.scripts.remove_tokens,
                &[keys::epoch(tag)],
            );
            return self.run_asking(call, tag).await;
        }
        let delete = Request::command("DEL").arg(keys::epoch(tag));
        let removed: bool = self.servers.run(tag, &delete, self.lasting(tag)).await?;
        Ok(if removed { Outcome::Done } else { Outcome::NotThere })
    }

    pub(super) async fn admit(&self, tag: Id, address: Id) -> Result<Admission, Error> {
        let call = Request::call(&self.backend.scripts.admit, &[keys::failures(tag), keys::user(tag)])
            .arg(address.as_str())
            .arg(throttle::KNOWN_DAYS)
            .arg(throttle::FORGET_SECONDS)
            .arg(throttle::FREE_FAILURES)
            .arg(throttle::LONGEST_WAIT_SECONDS);
        let wait: i64 = self.run(tag, &call).await?;
        Ok(match u64::try_from(wait) {
            Err(_) => Admission::Known,
            Ok(0) => Admission::Counted,
            Ok(seconds) => Admission::Wait(seconds),
        })
    }

    pub(super) async fn withdraw(&self, tag: Id) -> Result<(), Error> {
        self.run(tag, &Request::call(&self.backend.scripts.withdraw, &[keys::failures(tag)])).await
    }

    pub(super) async fn count(
        &self,
        counter: Counter,
        address: Id,
        limit: Limit,
        add: u64,
    ) -> Result<Option<u64>, Error> {
        let call = Request::call(&self.backend.scripts.count, &[keys::counter(counter, address)]);
        let wait: u64 = self.run(address, &call.arg(limit.count).arg(limit.seconds).arg(add)).await?;
        Ok((wait > 0).then_some(wait))
    }

    pub(super) async fn ready(&self) -> Result<(), Error> {
        let probe = |key: &str| Request::command("SET").arg(key).arg(1).arg("PX").arg(PROBE_MILLIS);
        match &self.servers {
            Servers::One(link) => {
                link.run(&probe(keys::PROBE), Mode::Shared, false).await?;
                Ok(())
            }
            Servers::Cluster(cluster) => cluster.ready(probe).await,
        }
    }

    /// Runs a script whose last argument is the time; it answers 1 for done, 0 for not there, -1 if the session that asks
    /// has no live access token.
    async fn run_asking(&self, call: Request<'_>, tag: Id) -> Result<Outcome, Error> {
        Ok(match self.servers.run(tag, &call.arg(unix_millis()), self.lasting(tag)).await? {
            1 => Outcome::Done,
            0 => Outcome::NotThere,
            _ => Outcome::Refused,
        })
    }
}

fn decode<T: FromRedisValue>(answer: Value) -> Result<T, Error> {
    redis::from_redis_value(answer).map_err(|error| RedisError::from(error).into())
}

type Found = Option<Vec<u8>>;

fn names(session: &[u8], epoch: &[u8]) -> bool {
    session.get(..ID_LEN).is_some_and(|its| epoch.starts_with(its))
}

fn number(session: &[u8], at: Range<usize>) -> Option<u64> {
    let digit = |n: u64, byte: &u8| byte.is_ascii_digit().then(|| n * 10 + u64::from(byte - b'0'));
    session.get(at)?.iter().try_fold(0, digit)
}

/// The account's profile, whose id the session's tokens have, as `scripts/session.lua` says.
fn profile_in(session: &[u8], id: Uuid) -> Option<Profile> {
    let mut fields = std::str::from_utf8(session.get(93..)?).ok()?.split(' ').skip(3);
    let (created_at, email) = (fields.next()?.parse().ok()?, fields.next()?.to_owned());
    Some(Profile { email, id, created_at })
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        match outage(&error) {
            Some(outage) => Self::Unavailable(outage),
            // The server's text names commands and keys, and a key holds no email.
            None => Self::Internal(format!("Redis: {}", connection::reason(&error))),
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
