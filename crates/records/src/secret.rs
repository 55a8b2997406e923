//! Secrets: a type whose text no output shows, the generation of secrets, and the files of the two signing secrets in
//! the data directory.

use std::{
    collections::HashSet,
    fmt, fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use auth_service_token::{SealingKey, Tokens};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::sealing::FactorKeys;

/// The minimum length of a signing secret, in bytes. RFC 7518, section 3.2 requires a key that is at least as long as
/// the hash.
pub const SECRET_MIN_BYTES: usize = 32;

/// A random secret of 32 decimal digits has fewer different characters less than once in ten million times.
const SECRET_MIN_CHARACTERS: usize = 6;

/// Whether a secret is easy to guess, however long it is, because it has only blanks, or the same few characters again
/// and again.
#[must_use]
pub fn is_monotonous(secret: &str) -> bool {
    let different: HashSet<char> = secret.chars().filter(|c| !c.is_whitespace()).collect();
    different.len() < SECRET_MIN_CHARACTERS
}

/// Text that no log line, panic message or debug output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text` as it is.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Generates a secret: 256 bits from the operating system's generator, as 43 base64url characters.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The two signing secrets, and the secrets that verify beside them while secrets are replaced.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// Signs access tokens.
    pub access: Secret,
    /// Signs refresh tokens.
    pub refresh: Secret,
    /// Verifies access tokens, and never signs.
    pub access_previous: Option<Secret>,
    /// Verifies refresh tokens, and never signs.
    pub refresh_previous: Option<Secret>,
}

impl Secrets {
    /// The keys of all kinds of token.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        let Self { access, refresh, access_previous, refresh_previous } = self;
        Tokens::new(access.bytes(), refresh.bytes())
            .with_verify_only(access_previous.as_ref().map(Secret::bytes), refresh_previous.as_ref().map(Secret::bytes))
    }

    /// Seal the private keys that the store holds: the key of the secret that signs, then that of the one that only
    /// verifies.
    #[must_use]
    pub fn sealing_keys(&self) -> Vec<SealingKey> {
        let secrets = std::iter::once(&self.access).chain(&self.access_previous);
        secrets.map(|secret| SealingKey::new(secret.bytes())).collect()
    }

    /// Seal the second factors that the store holds.
    #[must_use]
    pub fn factor_keys(&self) -> FactorKeys {
        let secrets = std::iter::once(&self.access).chain(&self.access_previous);
        FactorKeys::new(secrets.map(|secret| SealingKey::for_second_factors(secret.bytes())).collect())
    }

    /// Reads both secrets from `directory`, and generates each missing one in a file with mode 0600. Returns `true` if
    /// it generated a secret. The caller must hold the lock of the directory, so that no second process generates other
    /// secrets.
    ///
    /// # Errors
    /// When a file cannot be read or written, is open to other users, or holds a secret under [`SECRET_MIN_BYTES`];
    /// when both secrets are equal.
    pub fn load_or_generate(directory: &Path) -> io::Result<(Self, bool)> {
        let (access, new_access) = load_or_generate(&directory.join("auth_secret_key"))?;
        let (refresh, new_refresh) = load_or_generate(&directory.join("refresh_secret_key"))?;
        if access.expose() == refresh.expose() {
            let why = "auth_secret_key and refresh_secret_key are equal; remove one of the files";
            return Err(io::Error::other(format!("{}: {why}", directory.display())));
        }
        let secrets = Self { access, refresh, access_previous: None, refresh_previous: None };
        Ok((secrets, new_access || new_refresh))
    }
}

fn load_or_generate(path: &Path) -> io::Result<(Secret, bool)> {
    let explain = |why: String| io::Error::other(format!("{}: {why}", path.display()));
    match fs::read_to_string(path) {
        Ok(text) => {
            let metadata = fs::metadata(path).map_err(|e| explain(e.to_string()))?;
            if metadata.permissions().mode() & 0o077 != 0 {
                return Err(explain("other users can read this secret; run chmod 600 on the file".to_owned()));
            }
            let secret = Secret(text.trim_start_matches('\u{feff}').trim_end().to_owned());
            if secret.0.len() < SECRET_MIN_BYTES {
                let why = "this secret is too short; remove the file, so that the next start generates a new secret";
                return Err(explain(why.to_owned()));
            }
            if is_monotonous(&secret.0) {
                let why = "this secret has too few different characters; remove the file, so that the next start \
                           generates a new secret";
                return Err(explain(why.to_owned()));
            }
            Ok((secret, false))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = Secret::generate().map_err(io::Error::other)?;
            write_whole(path, secret.expose()).map_err(|e| explain(e.to_string()))?;
            Ok((secret, true))
        }
        Err(error) => Err(explain(error.to_string())),
    }
}

/// Writes a temporary file and renames it, so that a crash leaves the whole secret or none.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    match path.parent() {
        Some(directory) => fs::File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}
