//! The settings of the store, which `src/config` reads.

use std::{fmt, path::PathBuf, time::Duration};

use auth_service_records::secret::Secret;

/// Where accounts and tokens live.
#[derive(Debug, Clone)]
pub enum StoreSettings {
    /// Redis, shared by any number of replicas.
    Redis(RedisSettings),
    /// Files on this node.
    Embedded {
        /// Created with mode 0700 if it does not exist.
        directory: PathBuf,
    },
}

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// `REDIS_URL`, with credentials if it has any.
    pub url: Secret,
    /// `REDIS_USERNAME`.
    pub username: Option<String>,
    /// `REDIS_PASSWORD`.
    pub password: Option<Secret>,
    /// `REDIS_KEY_PREFIX`: every key begins with it.
    pub key_prefix: String,
    /// The contents of the files that the `REDIS_TLS_*` settings name, if any.
    pub tls: Option<TlsFiles>,
    /// `None` when writes do not wait for replicas.
    pub wait: Option<Wait>,
}

/// The contents of PEM files.
#[derive(Clone)]
pub struct TlsFiles {
    /// Certificates that are trusted instead of the system's.
    pub authority: Option<Vec<u8>>,
    /// The client certificate and its key.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How a write waits for replicas, so that it survives the loss of the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// The number of replicas that must confirm a write. At least one.
    pub replicas: u32,
    /// The maximum wait. Shorter than the deadline of a request.
    pub timeout: Duration,
}
