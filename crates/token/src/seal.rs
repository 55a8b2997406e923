//! Seals private keys and the secrets of second factors, so that a store can hold them and whoever reads the store cannot
//! use them.

use std::fmt;

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
    hmac,
    rand::{SecureRandom, SystemRandom},
};

use crate::{check::check_value, es256::KeyError, id::Id};

/// Separates these keys from every other use of the secret (RFC 5869, sections 3.1 and 3.2).
const SALT: &[u8] = b"auth-service";
const SIGNING_KEYS: &[u8] = b"auth-service: sealing of signing keys";
const SECOND_FACTORS: &[u8] = b"auth-service: sealing of second factors";

/// Seals with AES-256-GCM under a key that HKDF-SHA256 (RFC 5869) derives from a secret.
///
/// Each seal has a random nonce. A key seals far less than 2^32 times: a few signing keys a month, and each second factor
/// once or twice. So two nonces never meet (NIST SP 800-38D, section 8.3).
pub struct SealingKey {
    id: Id,
    derived: Prk,
    info: &'static [u8],
}

impl SealingKey {
    /// The key that seals signing keys with a secret, which has at least 32 bytes.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self::with(secret, SIGNING_KEYS)
    }

    /// The key that seals second factors with the same secret. Neither of the two keys opens a seal of the other.
    #[must_use]
    pub fn for_second_factors(secret: &[u8]) -> Self {
        Self::with(secret, SECOND_FACTORS)
    }

    fn with(secret: &[u8], info: &'static [u8]) -> Self {
        let id = check_value(&hmac::Key::new(hmac::HMAC_SHA256, secret));
        Self { id, derived: extract(secret), info }
    }

    /// Names the secret, and reveals no more about the secret than a token does.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// Seals `plain`: the nonce, the ciphertext and the tag. The same `context` opens the seal.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn seal(&self, plain: &[u8], context: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| KeyError::NoRandomness)?;
        let mut sealed = [&nonce, plain].concat();
        let mut text = sealed.split_off(NONCE_LEN);
        self.key()?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut text)
            .map_err(|_| KeyError::Malformed)?;
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// Opens what [`SealingKey::seal`] has sealed with the same secret and `context`. `None` for anything else.
    #[must_use]
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let (nonce, mut text) = (Nonce::try_assume_unique_for_key(nonce).ok()?, text.to_vec());
        let length = self.key().ok()?.open_in_place(nonce, Aad::from(context), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }

    fn key(&self) -> Result<LessSafeKey, KeyError> {
        // Fails only for a key of thousands of bytes.
        let info = [self.info];
        let key = self.derived.expand(&info, &AES_256_GCM).map_err(|_| KeyError::Malformed)?;
        Ok(LessSafeKey::new(UnboundKey::from(key)))
    }
}

fn extract(secret: &[u8]) -> Prk {
    Salt::new(HKDF_SHA256, SALT).extract(secret)
}

/// The length of a derived secret.
struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

/// Derives a secret from another one by HKDF-SHA256 (RFC 5869). Each `info` gives another secret.
pub(crate) fn derive(secret: &[u8], info: &[u8]) -> [u8; 32] {
    let mut derived = [0; 32];
    // Fails only for a secret of thousands of bytes.
    let filled = extract(secret).expand(&[info], Bytes32).and_then(|okm| okm.fill(&mut derived));
    debug_assert!(filled.is_ok());
    derived
}

/// Never shows the key.
impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({}, ..)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_and_context_open_a_whole_seal() {
        let key = SealingKey::new(&[1; 32]);
        let sealed = key.seal(b"private", b"kid").unwrap();
        assert_eq!(SealingKey::new(&[1; 32]).open(&sealed, b"kid").unwrap(), b"private");
        assert_eq!(SealingKey::new(&[2; 32]).open(&sealed, b"kid"), None);
        assert_eq!(key.open(&sealed, b"other"), None);
        for length in 0..sealed.len() {
            assert_eq!(key.open(&sealed[..length], b"kid"), None, "{length} bytes");
        }
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(key.open(&changed, b"kid"), None, "byte {index}");
        }
    }

    #[test]
    fn the_keys_of_two_purposes_do_not_open_each_others_seals() {
        let (signing, factors) = (SealingKey::new(&[1; 32]), SealingKey::for_second_factors(&[1; 32]));
        for (key, other) in [(&signing, &factors), (&factors, &signing)] {
            let sealed = key.seal(b"private", b"id").unwrap();
            assert_eq!(key.open(&sealed, b"id").unwrap(), b"private");
            assert_eq!(other.open(&sealed, b"id"), None);
        }
    }

    #[test]
    fn two_seals_of_one_text_differ_and_show_nothing_of_the_text() {
        let key = SealingKey::new(&[1; 32]);
        let [first, second] = [(); 2].map(|()| key.seal(b"private private", b"kid").unwrap());
        assert_ne!(first, second);
        assert!(![first, second].iter().any(|sealed| sealed.windows(7).any(|part| part == b"private")));
    }

    #[test]
    fn debug_output_shows_the_name_only() {
        let key = SealingKey::new(&[1; 32]);
        assert_eq!(format!("{key:?}"), format!("SealingKey({}, ..)", key.id()));
    }
}
