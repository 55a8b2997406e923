//! The store: accounts and the entries behind tokens, in Redis or embedded. This file is its contract.
//!
//! A token lives while its session's entry and the user's epoch are both there and equal. Removing the epoch therefore
//! ends all of a user's tokens in one step; what it orphans expires by itself.

mod embedded;
mod redis;

use std::{io, sync::Arc};

use crate::{
    config::StoreConfig,
    error::Error,
    id::Id,
    session::{Lifetimes, NewSession},
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
    pub fn open(config: &StoreConfig, lifetimes: Lifetimes) -> Result<Self, OpenError> {
        match config {
            StoreConfig::Redis { url } => Ok(Self::Redis(Arc::new(redis::Backend::new(url, lifetimes)?))),
            StoreConfig::Embedded { directory } => {
                Ok(Self::Embedded(Arc::new(embedded::Embedded::open(directory, lifetimes)?)))
            }
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
/// answer may be what was lost), and then has happened whole.
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

    /// Removes an account and all its tokens; `false` when there was none.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn delete_user(&self, tag: Id) -> Result<bool, Error> {
        match self {
            Self::Redis(redis) => redis.delete_user(tag).await,
            Self::Embedded(embedded) => embedded.delete_user(tag).await,
        }
    }

    /// Opens a session for the account that was read as `seen`, and stores `upgraded` in its place if given; `false`
    /// when the account has changed or gone since, and nothing is changed.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn open_session(
        &self,
        tag: Id,
        seen: &StoredUser,
        upgraded: Option<&User>,
        session: NewSession,
    ) -> Result<bool, Error> {
        match self {
            Self::Redis(redis) => redis.open_session(tag, seen, upgraded, session).await,
            Self::Embedded(embedded) => embedded.open_session(tag, seen, upgraded, session).await,
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

    /// The account's profile if the session's access tokens live, both seen at the same moment; else `None`.
    ///
    /// # Errors
    /// See [`Store`]; [`Error::UserNotFound`] if the tokens live but the account is not there.
    pub async fn profile(&self, tag: Id, sid: Id) -> Result<Option<Profile>, Error> {
        match self {
            Self::Redis(redis) => redis.profile(tag, sid).await,
            Self::Embedded(embedded) => embedded.profile(tag, sid),
        }
    }

    /// Renews the session's access entry for a new access token; `false` when its refresh token lives no more, and
    /// nothing is changed.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn refresh(&self, tag: Id, sid: Id) -> Result<bool, Error> {
        match self {
            Self::Redis(redis) => redis.refresh(tag, sid).await,
            Self::Embedded(embedded) => embedded.refresh(tag, sid).await,
        }
    }

    /// Ends all of a user's tokens; `false` when none lived.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn remove_tokens(&self, tag: Id) -> Result<bool, Error> {
        match self {
            Self::Redis(redis) => redis.remove_tokens(tag).await,
            Self::Embedded(embedded) => embedded.remove_tokens(tag).await,
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

/// Both stores keep a user as JSON.
fn encode_user(user: &User) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(user).map_err(|e| Error::Internal(format!("cannot write a user record: {e}")))
}

fn decode_user(revision: Vec<u8>) -> Result<StoredUser, Error> {
    let user = serde_json::from_slice(&revision).map_err(|_| corrupt_user())?;
    Ok(StoredUser { user, revision })
}

fn decode_profile(bytes: &[u8]) -> Result<Profile, Error> {
    serde_json::from_slice(bytes).map_err(|_| corrupt_user())
}

/// Without the parser's message, which would quote the record.
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
