//! The store: accounts and the entries behind tokens, in Redis or embedded. This file is its contract.
//!
//! A token lives while its session is there, names the user's epoch, and has not outlived the last access token that was
//! issued for it. Removing the epoch therefore ends all of a user's tokens in one step; what it orphans expires by itself.

mod embedded;
mod finding;
mod redis;

use std::{io, sync::Arc};

use uuid::Uuid;

pub use self::finding::{Finding, Verdict};
use crate::{
    config::StoreConfig,
    error::Error,
    id::Id,
    session::{NewSession, Outcome, Refreshed, Session, SessionPolicy},
    throttle::{Admission, Counter, Limit},
    user::{Profile, User},
};

/// A store that was opened but belongs to no runtime yet.
#[derive(Clone)]
pub enum Backend {
    /// A Redis server.
    Redis(Arc<redis::Backend>),
    /// Files of this node.
    Embedded(Arc<embedded::Embedded>),
}

/// Why a store could not be opened; its text says what to do.
#[derive(Debug)]
pub enum OpenError {
    /// A setting is wrong.
    Settings(String),
    /// Everything else.
    Failed(String),
}

impl Backend {
    /// Opens the embedded store, or prepares to connect to Redis without connecting yet.
    ///
    /// # Errors
    /// When the address cannot be read, or the data directory cannot be used (another process has it, too open a mode).
    pub fn open(config: &StoreConfig, policy: SessionPolicy) -> Result<Self, OpenError> {
        match config {
            StoreConfig::Redis(config) => Ok(Self::Redis(Arc::new(redis::Backend::new(config, policy)?))),
            StoreConfig::Embedded { directory } => {
                Ok(Self::Embedded(Arc::new(embedded::Embedded::open(directory, policy)?)))
            }
        }
    }

    /// Whether there is something to open; for Redis, only opening it tells.
    #[must_use]
    pub fn exists(config: &StoreConfig) -> bool {
        match config {
            StoreConfig::Redis(_) => true,
            StoreConfig::Embedded { directory } => embedded::Embedded::is_in(directory),
        }
    }

    /// One look at the store before serving. Redis that is away is not an error, it may come later: then the reason is
    /// returned. Redis that answers but can never serve is.
    ///
    /// # Errors
    /// When the credentials are wrong, or the server is a replica.
    pub async fn check(&self) -> Result<Option<String>, OpenError> {
        match self {
            Self::Redis(backend) => backend.check().await,
            Self::Embedded(_) => Ok(None),
        }
    }

    /// A careful look at the store, which changes nothing.
    ///
    /// # Errors
    /// A sentence that says why it cannot be looked at.
    pub async fn inspect(&self) -> Result<Vec<Finding>, String> {
        match self {
            Self::Redis(backend) => backend.inspect().await,
            Self::Embedded(embedded) => embedded.inspect().map_err(|error| error.to_string()),
        }
    }

    /// Sentences about clocks of the store that are too far from this machine's.
    pub async fn skewed_clocks(&self) -> Vec<String> {
        match self {
            Self::Redis(backend) => backend.skewed_clocks().await,
            Self::Embedded(_) => Vec::new(),
        }
    }

    /// What the current runtime owns: with Redis its own connection, kept up in the background while the store is held.
    pub async fn connect(&self) -> Store {
        match self {
            Self::Redis(backend) => Store::Redis(Arc::clone(backend).connect().await),
            Self::Embedded(embedded) => Store::Embedded(Arc::clone(embedded)),
        }
    }

    /// For people; has no credentials.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Redis(backend) => format!("Redis at {}", backend.address()),
            Self::Embedded(embedded) => {
                format!("the embedded store in {} (one replica only)", embedded.directory().display())
            }
        }
    }
}

/// The operations. Each is atomic against all others of the same user, on every replica, and has happened when it
/// returns `Ok`. On `Err` a read did nothing; a write may have happened if the error is [`Error::Unavailable`] (the
/// answer may be what was lost), and then has happened whole; if it is [`Error::NotReplicated`] it has happened, but a
/// failover may undo it.
pub enum Store {
    /// Shared by all replicas.
    Redis(redis::Redis),
    /// Of this process alone.
    Embedded(Arc<embedded::Embedded>),
}

/// A user together with the exact bytes that the store holds, to notice a change between a read and a write.
#[derive(Debug, Clone)]
pub struct StoredUser {
    /// The record.
    pub user: User,
    revision: Vec<u8>,
}

impl Store {
    /// Adds an account; `false` when its tag is taken, and nothing is changed. Never expires.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn create_user(&self, tag: Id, user: &User) -> Result<bool, Error> {
        match self {
            Self::Redis(redis) => redis.create_user(tag, user).await,
            Self::Embedded(embedded) => embedded.create_user(tag, user).await,
        }
    }

    /// Whether the account's sign-up has not been acknowledged, because too few replicas had it: it may be repeated.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn is_unacknowledged(&self, tag: Id) -> Result<bool, Error> {
        match self {
            Self::Redis(redis) => redis.is_unacknowledged(tag).await,
            Self::Embedded(_) => Ok(false),
        }
    }

    /// Returns when as many replicas as is asked for have all that was written so far.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn acknowledge_user(&self, tag: Id) -> Result<(), Error> {
        match self {
            Self::Redis(redis) => redis.acknowledge_user(tag).await,
            Self::Embedded(_) => Ok(()),
        }
    }

    /// Reads an account.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn find_user(&self, tag: Id) -> Result<Option<StoredUser>, Error> {
        match self {
            Self::Redis(redis) => redis.find_user(tag).await,
            Self::Embedded(embedded) => embedded.find_user(tag),
        }
    }

    /// Removes an account and all that belongs to it, its tokens included; not there also if it is no longer as it was
    /// read. If a session is `asking`, it must live.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn delete_user(&self, tag: Id, seen: Option<&StoredUser>, asking: Option<Id>) -> Result<Outcome, Error> {
        match self {
            Self::Redis(redis) => redis.delete_user(tag, seen, asking).await,
            Self::Embedded(embedded) => embedded.delete_user(tag, seen, asking).await,
        }
    }

    /// Opens a session for the account that was read as `seen`, and stores `upgraded` in its place if given; the oldest
    /// sessions beyond the policy's number end. Forgets the account's failures, and makes `address` known to it. `false`
    /// when the account has changed or gone since, and nothing is changed.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn open_session(
        &self,
        tag: Id,
        seen: &StoredUser,
        upgraded: Option<&User>,
        session: &NewSession,
        address: Id,
    ) -> Result<bool, Error> {
        match self {
            Self::Redis(redis) => redis.open_session(tag, seen, upgraded, session, address).await,
            Self::Embedded(embedded) => embedded.open_session(tag, seen, upgraded, session, address).await,
        }
    }

    /// Whether the session's access tokens live.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn check_access(&self, tag: Id, sid: Id) -> Result<bool, Error> {
        match self {
            Self::Redis(redis) => redis.check_access(tag, sid).await,
            Self::Embedded(embedded) => embedded.check_access(tag, sid),
        }
    }

    /// The account's profile if the session's access tokens live, both seen at the same moment; else `None`. `id` is the
    /// account's, as the tokens say it.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn profile(&self, tag: Id, sid: Id, id: Uuid) -> Result<Option<Profile>, Error> {
        match self {
            Self::Redis(redis) => redis.profile(tag, sid, id).await,
            Self::Embedded(embedded) => embedded.profile(tag, sid),
        }
    }

    /// Makes the session live on for a new access token, which the policy may cut short. With a `next_id`, spends the
    /// refresh token `refresh_id`, and `next_id` becomes the session's; a token that was spent gives the one that took
    /// its place within the policy's grace, and ends the session after it. `refresh_end` is the end of the token that is
    /// presented, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn refresh(
        &self,
        tag: Id,
        sid: Id,
        refresh_id: Id,
        refresh_end: u64,
        next_id: Option<Id>,
    ) -> Result<Refreshed, Error> {
        match self {
            Self::Redis(redis) => redis.refresh(tag, sid, refresh_id, refresh_end, next_id).await,
            Self::Embedded(embedded) => embedded.refresh(tag, sid, refresh_id, next_id).await,
        }
    }

    /// Makes the session live on for an access token in place of one that has ended, and changes nothing else; the token's
    /// seconds, cut to what is left of the refresh token, or `None` when the refresh token lives no more.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn renew(&self, tag: Id, sid: Id, refresh_id: Id) -> Result<Option<u64>, Error> {
        match self {
            Self::Redis(redis) => redis.renew(tag, sid, refresh_id).await,
            Self::Embedded(embedded) => embedded.renew(tag, sid, refresh_id).await,
        }
    }

    /// The user's live sessions, newest first; `None` if the session that is `asking` lives no more.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn list_sessions(&self, tag: Id, asking: Option<Id>) -> Result<Option<Vec<Session>>, Error> {
        match self {
            Self::Redis(redis) => redis.list_sessions(tag, asking).await,
            Self::Embedded(embedded) => embedded.list_sessions(tag, asking),
        }
    }

    /// Ends one session. If a session is `asking`, it must live.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn end_session(&self, tag: Id, sid: Id, asking: Option<Id>) -> Result<Outcome, Error> {
        match self {
            Self::Redis(redis) => redis.end_session(tag, sid, asking).await,
            Self::Embedded(embedded) => embedded.end_session(tag, sid, asking).await,
        }
    }

    /// Ends all of the user's sessions but `sid`, which must live and moves to the new `epoch`. With a `change`, also
    /// replaces the record, and is not there if that is no longer as it was read.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn keep_only(
        &self,
        tag: Id,
        sid: Id,
        epoch: Id,
        change: Option<(&StoredUser, &User)>,
    ) -> Result<Outcome, Error> {
        match self {
            Self::Redis(redis) => redis.keep_only(tag, sid, epoch, change).await,
            Self::Embedded(embedded) => embedded.keep_only(tag, sid, epoch, change).await,
        }
    }

    /// Ends all of a user's tokens; not there when none lived. If a session is `asking`, it must live.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn remove_tokens(&self, tag: Id, asking: Option<Id>) -> Result<Outcome, Error> {
        match self {
            Self::Redis(redis) => redis.remove_tokens(tag, asking).await,
            Self::Embedded(embedded) => embedded.remove_tokens(tag, asking).await,
        }
    }

    /// Admits a try at an account's password; one that is counted counts as failed until [`Store::open_session`] or
    /// [`Store::keep_only`] forgets it, or [`Store::withdraw`] takes it back.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn admit(&self, tag: Id, address: Id) -> Result<Admission, Error> {
        match self {
            Self::Redis(redis) => redis.admit(tag, address).await,
            Self::Embedded(embedded) => embedded.admit(tag, address),
        }
    }

    /// Takes back a try that was counted but not judged.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn withdraw(&self, tag: Id) -> Result<(), Error> {
        match self {
            Self::Redis(redis) => redis.withdraw(tag).await,
            Self::Embedded(embedded) => {
                embedded.withdraw(tag);
                Ok(())
            }
        }
    }

    /// Adds to an address' count unless its limit is reached: then the seconds until it starts anew, and nothing is added.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn count(&self, counter: Counter, address: Id, limit: Limit, add: u64) -> Result<Option<u64>, Error> {
        match self {
            Self::Redis(redis) => redis.count(counter, address, limit, add).await,
            Self::Embedded(embedded) => Ok(embedded.count(counter, address, limit, add)),
        }
    }

    /// Whether writes would succeed right now.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn ready(&self) -> Result<(), Error> {
        match self {
            Self::Redis(redis) => redis.ready().await,
            Self::Embedded(embedded) => embedded.ready(),
        }
    }
}

impl OpenError {
    fn in_directory(directory: &std::path::Path, error: &io::Error) -> Self {
        Self::Failed(format!("DATA_DIR {} cannot be used: {error}", directory.display()))
    }
}

/// Both stores keep a user as one line of id, time of creation, email and PHC string, none of which has a blank: shorter
/// than JSON, and quicker to read with each token check.
fn encode_user(user: &User) -> Vec<u8> {
    let User { id, email, created_at, phc } = user;
    format!("{id} {created_at} {email} {phc}").into_bytes()
}

/// The record in a user's value, whose second line is the store's own.
fn record(user: &[u8]) -> &[u8] {
    user.split(|byte| *byte == b'\n').next().unwrap_or_default()
}

fn decode_user(revision: Vec<u8>) -> Result<StoredUser, Error> {
    let (Profile { email, id, created_at }, phc) = fields(&revision).ok_or_else(corrupt_user)?;
    let user = User { id, email, created_at, phc: phc.to_owned() };
    Ok(StoredUser { user, revision })
}

/// Of a user's value as it is: what stands behind the profile is not looked at.
fn decode_profile(value: &[u8]) -> Result<Profile, Error> {
    fields(value).map(|(profile, _)| profile).ok_or_else(corrupt_user)
}

fn fields(record: &[u8]) -> Option<(Profile, &str)> {
    let mut fields = std::str::from_utf8(record).ok()?.splitn(4, ' ');
    let (id, created_at, email, phc) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let profile = Profile { email: email.to_owned(), id: id.parse().ok()?, created_at: created_at.parse().ok()? };
    Some((profile, phc))
}

fn corrupt_user() -> Error {
    Error::Internal("a user record in the store cannot be read".to_owned())
}

impl OpenError {
    /// The sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Settings(message) | Self::Failed(message) => message,
        }
    }
}
