//! The store on Redis: which commands make up each operation.

mod keys;
mod link;

use std::sync::Arc;

use redis::{ErrorKind, RedisError, Script, ServerErrorKind, Value};

use self::link::{Address, Link};
use super::{OpenError, StoredUser, decode_profile, decode_user, encode_user};
use crate::{
    error::{Error, Outage},
    id::Id,
    secret::Secret,
    session::{Lifetimes, NewSession},
    user::{Profile, User},
};

/// Life of the key that a readiness check writes, in milliseconds.
const PROBE_MILLIS: u64 = 1_000;

/// What all runtimes of the process share.
pub struct Backend {
    address: Address,
    lifetimes: Lifetimes,
    open_session: Script,
    refresh: Script,
}

/// One runtime's store.
pub struct Redis {
    backend: Arc<Backend>,
    link: Link,
}

impl Backend {
    pub(super) fn new(url: &Secret, lifetimes: Lifetimes) -> Result<Self, OpenError> {
        Ok(Self {
            address: Address::new(url)?,
            lifetimes,
            open_session: Script::new(include_str!("open_session.lua")),
            refresh: Script::new(include_str!("refresh.lua")),
        })
    }

    pub(super) fn address(&self) -> &str {
        self.address.name()
    }

    pub(super) async fn connect(self: Arc<Self>) -> Redis {
        Redis { link: Link::start(self.address.clone()).await, backend: self }
    }

    /// On an exclusive connection: the server's role, and the scripts loaded so that the first request finds them.
    pub(super) async fn check(&self) -> Result<Option<String>, OpenError> {
        let mut scripts = redis::pipe();
        for script in [&self.open_session, &self.refresh] {
            scripts.load_script(script).ignore();
        }
        let name = self.address.name();
        match self.address.exclusive().await {
            Ok(mut connection) => match link::check_role(&mut connection).await {
                Ok(()) => match scripts.query_async::<()>(&mut connection).await {
                    Ok(()) => Ok(None),
                    Err(error) => Ok(Some(format!("Redis at {name} is not ready: {}", link::reason(&error)))),
                },
                Err(error) if link::is_replica(&error) => Err(OpenError::Settings(format!(
                    "REDIS_URL names {name}, which is a replica: name the primary, only it takes writes"
                ))),
                Err(error) => Ok(Some(format!("Redis at {name} is not ready: {}", link::reason(&error)))),
            },
            Err(link::ExclusiveError::Redis(error)) if link::is_refusal(&error) => Err(OpenError::Settings(format!(
                "Redis at {name} refused REDIS_URL's user name, password or database: {}",
                link::reason(&error)
            ))),
            Err(error) => Ok(Some(format!("Redis at {name} cannot be reached: {error}"))),
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

    pub(super) async fn delete_user(&self, tag: Id) -> Result<bool, Error> {
        let mut both = redis::pipe();
        both.atomic().del(keys::user(tag)).del(keys::epoch(tag)).ignore();
        let (users,): (u64,) = self.link.run_pipeline(&both).await?;
        Ok(users == 1)
    }

    pub(super) async fn open_session(
        &self,
        tag: Id,
        seen: &StoredUser,
        upgraded: Option<&User>,
        session: NewSession,
    ) -> Result<bool, Error> {
        let NewSession { sid, epoch } = session;
        let Lifetimes { access_seconds, refresh_seconds } = self.backend.lifetimes;
        let mut invocation = self.backend.open_session.prepare_invoke();
        invocation.key(keys::user(tag)).key(keys::epoch(tag)).key(keys::access(tag, sid)).key(keys::refresh(tag, sid));
        invocation.arg(&seen.revision).arg(upgraded.map(encode_user).transpose()?.unwrap_or_default());
        invocation.arg(epoch.as_str()).arg(access_seconds).arg(refresh_seconds);
        self.link.run_script(&invocation).await
    }

    pub(super) async fn check_access(&self, tag: Id, sid: Id) -> Result<bool, Error> {
        let mut get = redis::cmd("MGET");
        get.arg(keys::epoch(tag)).arg(keys::access(tag, sid));
        let (epoch, entry): (Option<Vec<u8>>, Option<Vec<u8>>) = self.link.run(&get).await?;
        Ok(epoch.is_some() && epoch == entry)
    }

    pub(super) async fn profile(&self, tag: Id, sid: Id) -> Result<Option<Profile>, Error> {
        let mut get = redis::cmd("MGET");
        get.arg(keys::epoch(tag)).arg(keys::access(tag, sid)).arg(keys::user(tag));
        type Found = Option<Vec<u8>>;
        let (epoch, entry, record): (Found, Found, Found) = self.link.run(&get).await?;
        if epoch.is_none() || epoch != entry {
            return Ok(None);
        }
        decode_profile(&record.ok_or(Error::UserNotFound)?).map(Some)
    }

    pub(super) async fn refresh(&self, tag: Id, sid: Id) -> Result<bool, Error> {
        let mut invocation = self.backend.refresh.prepare_invoke();
        invocation.key(keys::epoch(tag)).key(keys::access(tag, sid)).key(keys::refresh(tag, sid));
        invocation.arg(self.backend.lifetimes.access_seconds);
        self.link.run_script(&invocation).await
    }

    pub(super) async fn remove_tokens(&self, tag: Id) -> Result<bool, Error> {
        self.link.run(redis::cmd("DEL").arg(keys::epoch(tag))).await
    }

    pub(super) async fn ready(&self) -> Result<(), Error> {
        self.link.run(redis::cmd("SET").arg(keys::PROBE).arg(1).arg("PX").arg(PROBE_MILLIS)).await
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
    } else if ["NOAUTH", "WRONGPASS", "NOPERM", "BUSY", "UNBLOCKED", "NOGOODSLAVE"].contains(&code) {
        Some(Outage::Refused)
    } else {
        None
    }
}
