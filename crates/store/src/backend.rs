//! Opens a store before a runtime uses it, and inspects it.

use std::sync::Arc;

use auth_service_records::{clock::Clock, error::Error, session::SessionPolicy};
use auth_service_token::SecretsCheck;
use prometheus_client::registry::Registry;

pub use crate::open_error::OpenError;
use crate::{embedded, finding::Finding, redis, settings::StoreSettings, store::Store, users::Users};

/// A store that was opened but belongs to no runtime yet.
#[derive(Clone)]
pub enum Backend {
    /// A Redis server.
    Redis(Arc<redis::Backend>),
    /// Files on this node.
    Embedded(Arc<embedded::Embedded>),
}

impl Backend {
    /// Opens the embedded store, or prepares the connection to Redis without connecting yet. `clock` shows the time of
    /// the store as soon as there is a connection.
    ///
    /// # Errors
    /// When the address cannot be parsed, or the data directory cannot be used (another process holds it, or its mode
    /// is too open).
    pub fn open(settings: &StoreSettings, policy: SessionPolicy, clock: Clock) -> Result<Self, OpenError> {
        match settings {
            StoreSettings::Redis(settings) => Ok(Self::Redis(Arc::new(redis::Backend::new(settings, policy, clock)?))),
            StoreSettings::Embedded { directory } => {
                Ok(Self::Embedded(Arc::new(embedded::Embedded::open(directory, policy, clock)?)))
            }
        }
    }

    /// Whether there is a store to open. Always `true` for Redis, because only a connection can tell.
    #[must_use]
    pub fn exists(settings: &StoreSettings) -> bool {
        match settings {
            StoreSettings::Redis(_) => true,
            StoreSettings::Embedded { directory } => embedded::Embedded::is_in(directory),
        }
    }

    /// Whether several servers may use the store at the same time.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Redis(_))
    }

    /// Checks the store once before the server starts to serve. If Redis is unreachable, returns the reason. That is
    /// not an error, because Redis may come back. A Redis that answers but can never serve is an error.
    ///
    /// # Errors
    /// When the credentials are wrong, or the server is a replica.
    pub async fn check(&self) -> Result<Option<String>, OpenError> {
        match self {
            Self::Redis(backend) => backend.check().await,
            Self::Embedded(_) => Ok(None),
        }
    }

    /// Inspects the store, and leaves its data unchanged.
    ///
    /// # Errors
    /// A sentence that says why the store cannot be inspected.
    pub async fn inspect(&self) -> Result<Vec<Finding>, String> {
        match self {
            Self::Redis(backend) => backend.inspect().await,
            Self::Embedded(embedded) => embedded.inspect().map_err(|error| error.to_string()),
        }
    }

    /// Compares signing secrets with those of the replica that started last. `None` for the embedded store, which has
    /// one server only.
    pub async fn compare_secrets(&self, secrets: &SecretsCheck) -> Option<Finding> {
        match self {
            Self::Redis(backend) => Some(backend.compare_secrets(secrets).await),
            Self::Embedded(_) => None,
        }
    }

    /// Compares as [`Backend::compare_secrets`]. If a replica may start with these secrets, enters them into the store
    /// in the same step.
    pub async fn enter_secrets(&self, secrets: &SecretsCheck) -> Option<Finding> {
        match self {
            Self::Redis(backend) => Some(backend.enter_secrets(secrets).await),
            Self::Embedded(_) => None,
        }
    }

    /// Enters these secrets into the store, whatever secrets the other replicas have. From then on, only replicas with
    /// these secrets start. Does nothing for the embedded store, which has one server only.
    ///
    /// # Errors
    /// A sentence that says why the store does not take the secrets.
    pub async fn adopt_secrets(&self, secrets: &SecretsCheck) -> Result<(), String> {
        match self {
            Self::Redis(backend) => backend.adopt_secrets(secrets).await,
            Self::Embedded(_) => Ok(()),
        }
    }

    /// Creates the store of the current runtime. With Redis, the store has its own connection. A background task keeps
    /// the connection open until the store is dropped.
    pub async fn connect(&self) -> Store {
        match self {
            Self::Redis(backend) => Store::Redis(backend.connect().await),
            Self::Embedded(embedded) => Store::Embedded(Arc::clone(embedded)),
        }
    }

    /// Starts a list of all accounts.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the servers of Redis are not known.
    pub async fn users(&self) -> Result<Users, Error> {
        match self {
            Self::Redis(backend) => Ok(Users::Redis(Box::new(redis::Users::start(Arc::clone(backend)).await?))),
            Self::Embedded(embedded) => Ok(Users::Embedded(embedded::Users::start(Arc::clone(embedded)))),
        }
    }

    /// Adds the metrics of the store to a registry.
    pub fn register_metrics(&self, registry: &mut Registry) {
        // The registry may outlive the server, and must not keep the file of the embedded store open.
        match self {
            Self::Redis(backend) => {
                let weak = Arc::downgrade(backend);
                let is_usable = move || weak.upgrade().is_some_and(|backend| backend.is_usable());
                backend.metrics().register(registry, backend.clock().clone(), is_usable);
            }
            Self::Embedded(embedded) => {
                let weak = Arc::downgrade(embedded);
                let is_usable = move || weak.upgrade().is_some_and(|embedded| embedded.is_usable());
                embedded.metrics().register(registry, embedded.clock().clone(), is_usable);
            }
        }
    }

    /// The place of the store, as findings name it.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Redis(backend) => backend.address().to_owned(),
            Self::Embedded(embedded) => embedded.directory().display().to_string(),
        }
    }

    /// A description for people, without credentials.
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
