//! Opening a store, before a runtime uses it, and a careful look at it.

use std::sync::Arc;

use auth_service_records::{clock::Clock, session::SessionPolicy};

pub use crate::open_error::OpenError;
use crate::{embedded, finding::Finding, redis, settings::StoreSettings, store::Store};

/// A store that was opened but belongs to no runtime yet.
#[derive(Clone)]
pub enum Backend {
    /// A Redis server.
    Redis(Arc<redis::Backend>),
    /// Files of this node.
    Embedded(Arc<embedded::Embedded>),
}

impl Backend {
    /// Opens the embedded store, or prepares to connect to Redis without connecting yet. `clock` shows the time of the
    /// store as soon as there is a connection.
    ///
    /// # Errors
    /// When the address cannot be read, or the data directory cannot be used (another process has it, too open a mode).
    pub fn open(settings: &StoreSettings, policy: SessionPolicy, clock: Clock) -> Result<Self, OpenError> {
        match settings {
            StoreSettings::Redis(settings) => Ok(Self::Redis(Arc::new(redis::Backend::new(settings, policy, clock)?))),
            StoreSettings::Embedded { directory } => {
                Ok(Self::Embedded(Arc::new(embedded::Embedded::open(directory, policy, clock)?)))
            }
        }
    }

    /// Whether there is something to open; for Redis, only opening it tells.
    #[must_use]
    pub fn exists(settings: &StoreSettings) -> bool {
        match settings {
            StoreSettings::Redis(_) => true,
            StoreSettings::Embedded { directory } => embedded::Embedded::is_in(directory),
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
            Self::Redis(backend) => Store::Redis(backend.connect().await),
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
