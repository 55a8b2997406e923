//! The settings of the store, which `src/config` reads.

use std::{fmt, path::PathBuf, time::Duration};

use auth_service_records::secret::Secret;

/// Where accounts and tokens live.
#[derive(Debug, Clone)]
pub enum StoreSettings {
    /// Redis, shared by any number of replicas.
    Redis(Box<RedisSettings>),
    /// Files on this node.
    Embedded {
        /// Created with mode 0700 if it does not exist.
        directory: PathBuf,
    },
}

/// The default of `REDIS_KEY_PREFIX`.
pub const DEFAULT_KEY_PREFIX: &str = "as:";

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// `REDIS_URL`, with credentials if it has any.
    pub url: SecretText,
    /// `REDIS_USERNAME`.
    pub username: Option<String>,
    /// `REDIS_PASSWORD`.
    pub password: Option<SecretText>,
    /// `REDIS_SENTINEL_USERNAME`.
    pub sentinel_username: Option<String>,
    /// `REDIS_SENTINEL_PASSWORD`.
    pub sentinel_password: Option<SecretText>,
    /// `REDIS_KEY_PREFIX`: every key begins with it.
    pub key_prefix: String,
    /// The contents of the files that the `REDIS_TLS_*` settings name, if any.
    pub tls: Option<TlsFiles>,
    /// `None` when writes do not wait for replicas.
    pub wait: Option<Wait>,
}

impl RedisSettings {
    /// Redis at `url`, with the default prefix of keys and nothing else set.
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self {
            url: SecretText { value: Secret::new(url.to_owned()), file: None },
            username: None,
            password: None,
            sentinel_username: None,
            sentinel_password: None,
            key_prefix: DEFAULT_KEY_PREFIX.to_owned(),
            tls: None,
            wait: None,
        }
    }
}

/// A secret, and the file that it came from. The store reads the file again for each connection.
#[derive(Debug, Clone)]
pub struct SecretText {
    /// The secret.
    pub value: Secret,
    /// `None` if the secret did not come from a file.
    pub file: Option<PathBuf>,
}

/// Files in PEM. The store reads them again for each connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates that are trusted instead of the system's.
    pub authority: Option<PemFile>,
    /// The client certificate and its key.
    pub client: Option<(PemFile, PemFile)>,
}

/// A file in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct PemFile {
    /// The setting that names the file.
    pub name: &'static str,
    /// Where the file is.
    pub file: PathBuf,
    /// What was in the file when it was last read.
    pub text: Vec<u8>,
}

impl fmt::Debug for PemFile {
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
