//! The ES256 keys that a process knows at this moment, shared by its threads.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    claims::TokenError,
    es256::{SigningKey, VerifyingKey},
    jwk::Jwk,
    kid::{KID_LEN, Kid},
};

/// How long a key may sign after the key set was read for the last time. The key may have been revoked since then.
pub const SIGNS_FOR: Duration = Duration::from_secs(30);

/// The header of an ES256 token around its `kid`.
const BEFORE_KID: &str = r#"{"typ":"at+jwt","alg":"ES256","kid":""#;
const AFTER_KID: &str = r#""}"#;
const HEADER_LEN: usize = BEFORE_KID.len() + KID_LEN + AFTER_KID.len();

/// The keys at one moment.
#[derive(Default)]
pub struct KeySet {
    signing: Option<Arc<SigningKey>>,
    /// By the whole header of their tokens, in base64url.
    verifying: HashMap<String, VerifyingKey>,
    jwks: Vec<Jwk>,
}

/// A key that may sign now, and the header of its tokens in base64url.
pub(crate) struct Signer {
    pub(crate) header: String,
    pub(crate) key: Arc<SigningKey>,
}

impl KeySet {
    /// The keys whose tokens are valid, in the order in which they are published, and the key that signs.
    #[must_use]
    pub fn new(verifying: &[VerifyingKey], signing: Option<Arc<SigningKey>>) -> Self {
        Self {
            signing,
            verifying: verifying.iter().map(|key| (header(key.kid()), *key)).collect(),
            jwks: verifying.iter().map(Jwk::from).collect(),
        }
    }

    /// The public keys, as a JWK Set publishes them (RFC 7517, section 5).
    #[must_use]
    pub fn jwks(&self) -> &[Jwk] {
        &self.jwks
    }

    /// The key that signs, however long ago the set was read.
    #[must_use]
    pub fn signing(&self) -> Option<&Arc<SigningKey>> {
        self.signing.as_ref()
    }

    /// The key of the token with this header in base64url. Only the exact text of our own header is accepted, so that
    /// no other `alg`, and no `crit`, `jku`, `jwk` or `x5u` has an effect (RFC 8725, section 3.1).
    pub(crate) fn key_of(&self, encoded: &str) -> Result<&VerifyingKey, TokenError> {
        self.verifying.get(encoded).ok_or_else(|| why_unknown(encoded))
    }
}

fn header(kid: Kid) -> String {
    URL_SAFE_NO_PAD.encode(format!("{BEFORE_KID}{kid}{AFTER_KID}"))
}

/// Tells an unknown `kid` from another header. A verifier that reads the keys from elsewhere reads them again.
fn why_unknown(encoded: &str) -> TokenError {
    let kid = || {
        let mut header = [0; HEADER_LEN];
        let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut header).ok()?;
        let header = std::str::from_utf8(&header[..length]).ok()?;
        Kid::parse(header.strip_prefix(BEFORE_KID)?.strip_suffix(AFTER_KID)?)
    };
    if kid().is_some() { TokenError::UnknownKey } else { TokenError::UnknownHeader }
}

/// The key set that all threads of a process share. One task replaces the set. A clone shares it.
#[derive(Clone, Default)]
pub struct Keys(Arc<Shared>);

#[derive(Default)]
struct Shared {
    current: RwLock<Current>,
    /// Counts the replacements, so that a thread can notice one without the lock.
    generation: AtomicU64,
}

#[derive(Default)]
struct Current {
    set: Arc<KeySet>,
    read_at: Option<Instant>,
}

impl Keys {
    /// Replaces the set by the one that was read at `read_at`.
    pub fn replace(&self, set: KeySet, read_at: Instant) {
        let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Current { set: Arc::new(set), read_at: Some(read_at) };
        // While the lock is held, so that nobody keeps a result of the former set under the new number.
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// Notes that the set, read again at `read_at`, is still the same.
    pub fn confirm(&self, read_at: Instant) {
        self.0.current.write().unwrap_or_else(PoisonError::into_inner).read_at = Some(read_at);
    }

    /// The set that was read last. Empty before the first one.
    #[must_use]
    pub fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.current.read().unwrap_or_else(PoisonError::into_inner).set)
    }

    /// When the set was read last. `None` before the first time.
    #[must_use]
    pub fn read_at(&self) -> Option<Instant> {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).read_at
    }

    /// Changes with each replacement of the set.
    pub(crate) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Whether a key may sign now: there is one, and the set was read at most [`SIGNS_FOR`] ago.
    pub(crate) fn can_sign(&self) -> bool {
        self.fresh_key().is_some()
    }

    /// The key that signs. `None` if none may sign now.
    pub(crate) fn signer(&self) -> Option<Signer> {
        let key = self.fresh_key()?;
        Some(Signer { header: header(key.verifying_key().kid()), key })
    }

    fn fresh_key(&self) -> Option<Arc<SigningKey>> {
        let current = self.0.current.read().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = current.read_at.is_some_and(|read_at| read_at.elapsed() <= SIGNS_FOR);
        current.set.signing.clone().filter(|_| is_fresh)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.current().jwks.iter().map(|jwk| &jwk.kid)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Arc<SigningKey> {
        Arc::new(SigningKey::generate().unwrap().0)
    }

    #[test]
    fn only_a_fresh_set_signs() {
        let (keys, key) = (Keys::default(), key());
        assert!(keys.signer().is_none());
        let set = || KeySet::new(&[*key.verifying_key()], Some(Arc::clone(&key)));
        keys.replace(set(), Instant::now());
        assert!(keys.signer().is_some());
        let long_ago = Instant::now().checked_sub(SIGNS_FOR + Duration::from_secs(1)).unwrap();
        keys.replace(set(), long_ago);
        assert!(keys.signer().is_none());
        keys.confirm(Instant::now());
        assert!(keys.signer().is_some());
    }

    #[test]
    fn an_unknown_key_is_told_from_another_header() {
        let (known, unknown) = (key(), key());
        let set = KeySet::new(&[*known.verifying_key()], None);
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        assert_eq!(set.key_of(&header(known.verifying_key().kid())).copied(), Ok(*known.verifying_key()));
        assert_eq!(set.key_of(&header(unknown.verifying_key().kid())), Err(TokenError::UnknownKey));
        for other in [
            String::new(),
            encode(r#"{"typ":"at+jwt","alg":"ES256","kid":"../../etc/passwd"}"#),
            encode(&format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{}"}}"#, known.verifying_key().kid())),
            encode(&format!("{BEFORE_KID}{}", "A".repeat(1_000_000))),
        ] {
            assert_eq!(set.key_of(&other), Err(TokenError::UnknownHeader));
        }
    }
}
