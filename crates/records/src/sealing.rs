//! The seals of the secrets of second factors, so that whoever reads the store cannot make a code.

use auth_service_token::SealingKey;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::error::Error;

/// Seals and opens the secrets of second factors. A seal belongs to one user, so nobody can use the seal of another
/// account.
#[derive(Debug)]
pub struct FactorKeys {
    /// The key that seals, then the key of the secret that only verifies.
    keys: Vec<SealingKey>,
}

/// A secret that was sealed.
pub struct Opened {
    /// The secret.
    pub secret: Vec<u8>,
    /// Whether the key that seals has sealed the secret. If not, the secret must be sealed again before an operator drops
    /// the older key.
    pub is_current: bool,
}

impl FactorKeys {
    /// The first key seals, and every key opens.
    pub(crate) fn new(keys: Vec<SealingKey>) -> Self {
        Self { keys }
    }

    /// Seals a secret of the user: in base64url without padding.
    ///
    /// # Errors
    /// [`Error::Internal`] when the operating system provides no randomness.
    pub fn seal(&self, user_id: Uuid, secret: &[u8]) -> Result<String, Error> {
        let sealed = self.keys.first().and_then(|key| key.seal(secret, user_id.as_bytes()).ok());
        let sealed = sealed.ok_or_else(|| Error::Internal("a second factor could not be sealed".to_owned()))?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens a sealed secret of the user. `None` if no key opens it, for example because it is that of another user.
    #[must_use]
    pub fn open(&self, user_id: Uuid, sealed: &str) -> Option<Opened> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let opened = |(index, key): (usize, &SealingKey)| {
            Some(Opened { secret: key.open(&sealed, user_id.as_bytes())?, is_current: index == 0 })
        };
        self.keys.iter().enumerate().find_map(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[u8]) -> FactorKeys {
        FactorKeys::new(secrets.iter().map(|byte| SealingKey::for_second_factors(&[*byte; 32])).collect())
    }

    #[test]
    fn a_replaced_secret_opens_seals_and_makes_none() {
        let user = Uuid::from_u128(1);
        let (old, both) = (keys(&[1]), keys(&[2, 1]));
        let opened = both.open(user, &old.seal(user, b"secret").unwrap()).unwrap();
        assert_eq!((opened.secret.as_slice(), opened.is_current), (&b"secret"[..], false));
        let sealed = both.seal(user, b"secret").unwrap();
        assert!(both.open(user, &sealed).unwrap().is_current);
        assert!(keys(&[2]).open(user, &sealed).is_some() && old.open(user, &sealed).is_none());
    }

    #[test]
    fn the_seal_of_another_user_and_any_other_text_open_nothing() {
        let keys = keys(&[1]);
        let sealed = keys.seal(Uuid::from_u128(1), b"secret").unwrap();
        assert!(keys.open(Uuid::from_u128(2), &sealed).is_none());
        for text in ["", "secret", "!", &sealed[1..]] {
            assert!(keys.open(Uuid::from_u128(1), text).is_none(), "{text}");
        }
    }
}
