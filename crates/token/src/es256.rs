//! Keys of ES256: ECDSA with P-256 and SHA-256 (RFC 7518, section 3.4).

use std::fmt;

use crate::kid::Kid;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey},
};

/// The number of bytes of a signature: `R` and `S`, 32 bytes each (RFC 7518, section 3.4).
pub const SIGNATURE_LEN: usize = 64;

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey {
    kid: Kid,
    /// The uncompressed point: the byte 4, `x` and `y` (SEC 1, section 2.3.3).
    point: [u8; 65],
}

/// A private key, with its public key.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    verifying_key: VerifyingKey,
}

/// Why there is no key, or no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyError {
    /// The operating system provides no randomness.
    NoRandomness,
    /// The text is not a private key of P-256 in PKCS#8 (RFC 5208), or its public key does not belong to it.
    Malformed,
}

impl VerifyingKey {
    /// The key of these coordinates. Coordinates of a point that is not on the curve make a key that verifies no
    /// signature.
    #[must_use]
    pub fn from_coordinates(x: [u8; 32], y: [u8; 32]) -> Self {
        let mut point = [4; 65];
        point[1..33].copy_from_slice(&x);
        point[33..].copy_from_slice(&y);
        Self { kid: Kid::thumbprint(&URL_SAFE_NO_PAD.encode(x), &URL_SAFE_NO_PAD.encode(y)), point }
    }

    /// The id of the key.
    #[must_use]
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// The coordinate `x`, big-endian.
    #[must_use]
    pub fn x(&self) -> [u8; 32] {
        std::array::from_fn(|i| self.point[1 + i])
    }

    /// The coordinate `y`, big-endian.
    #[must_use]
    pub fn y(&self) -> [u8; 32] {
        std::array::from_fn(|i| self.point[33 + i])
    }

    /// Whether this key's private key made `signature` for `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.point).verify(message, signature).is_ok()
    }
}

impl SigningKey {
    /// A new random key, and the same key in PKCS#8 for [`SigningKey::from_pkcs8`].
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate() -> Result<(Self, Vec<u8>), KeyError> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| KeyError::NoRandomness)?;
        Ok((Self::from_pkcs8(pkcs8.as_ref())?, pkcs8.as_ref().to_vec()))
    }

    /// Reads a key in PKCS#8 version 1, DER. The key must contain its public key, as those that OpenSSL writes do.
    ///
    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random)
            .map_err(|_| KeyError::Malformed)?;
        let point: &[u8; 65] = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Malformed)?;
        let coordinate = |from: usize| std::array::from_fn(|i| point[from + i]);
        let verifying_key = VerifyingKey::from_coordinates(coordinate(1), coordinate(33));
        Ok(Self { pair, random, verifying_key })
    }

    /// Signs `message`: `R` and `S` as 32 bytes each.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], KeyError> {
        let signature = self.pair.sign(&self.random, message).map_err(|_| KeyError::NoRandomness)?;
        signature.as_ref().try_into().map_err(|_| KeyError::Malformed)
    }

    /// The public key.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying_key
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.kid)
    }
}

/// Never shows the private key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ..)", self.verifying_key.kid)
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRandomness => "the operating system provides no randomness",
            Self::Malformed => "this is not a private key of P-256 in PKCS#8",
        })
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwk::Jwk;

    /// The example of RFC 7515, appendix A.3.
    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    const MESSAGE: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLm\
                           NvbS9pc19yb290Ijp0cnVlfQ";
    const SIGNATURE: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
    }

    #[test]
    fn the_signature_of_rfc_7515_appendix_a_3_verifies() {
        let key = VerifyingKey::from_coordinates(bytes(X), bytes(Y));
        let mut signature: [u8; SIGNATURE_LEN] = bytes(SIGNATURE);
        assert!(key.verify(MESSAGE.as_bytes(), &signature));
        assert!(!key.verify(&MESSAGE.as_bytes()[1..], &signature));
        assert!(!key.verify(MESSAGE.as_bytes(), &signature[..63]));
        signature[0] ^= 1;
        assert!(!key.verify(MESSAGE.as_bytes(), &signature));
        assert!(!key.verify(MESSAGE.as_bytes(), &[0; SIGNATURE_LEN]));
    }

    #[test]
    fn the_id_is_the_thumbprint_of_rfc_7638() {
        // The key and the thumbprint of RFC 9449, sections 4.1 and 6.1.
        let x = bytes("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs");
        let y = bytes("9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA");
        let key = VerifyingKey::from_coordinates(x, y);
        assert_eq!(key.kid().as_str(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        assert_eq!((key.x(), key.y()), (x, y));
    }

    #[test]
    fn a_key_survives_pkcs8_and_signs_for_its_public_key_only() {
        let (key, pkcs8) = SigningKey::generate().unwrap();
        let same = SigningKey::from_pkcs8(&pkcs8).unwrap();
        let (other, _) = SigningKey::generate().unwrap();
        let signature = same.sign(b"message").unwrap();
        assert_eq!(key.verifying_key(), same.verifying_key());
        assert!(key.verifying_key().verify(b"message", &signature));
        assert!(!other.verifying_key().verify(b"message", &signature));
        assert_eq!(SigningKey::from_pkcs8(&pkcs8[1..]).err(), Some(KeyError::Malformed));
        assert_eq!(SigningKey::from_pkcs8(&[]).err(), Some(KeyError::Malformed));
    }

    #[test]
    fn debug_output_shows_the_id_and_not_the_private_key() {
        let (key, _) = SigningKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), format!("SigningKey({}, ..)", key.verifying_key().kid()));
    }

    #[test]
    fn a_jwk_has_exactly_the_public_members_and_reads_back() {
        let (key, _) = SigningKey::generate().unwrap();
        let key = key.verifying_key();
        let json = serde_json::to_value(Jwk::from(key)).unwrap();
        let encoded = |bytes: [u8; 32]| URL_SAFE_NO_PAD.encode(bytes);
        let due = serde_json::json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256",
            "kid": key.kid(), "x": encoded(key.x()), "y": encoded(key.y()),
        });
        assert_eq!(json, due);
        let read: Jwk = serde_json::from_value(json).unwrap();
        assert_eq!(read.verifying_key().as_ref(), Some(key));
    }

    #[test]
    fn a_jwk_of_another_kind_is_no_verifying_key() {
        let good = Jwk::from(SigningKey::generate().unwrap().0.verifying_key());
        let cases: [fn(&mut Jwk); 7] = [
            |jwk| jwk.kty = "RSA".into(),
            |jwk| jwk.crv = "P-384".into(),
            |jwk| jwk.x.truncate(40),
            |jwk| jwk.y.push('A'),
            |jwk| jwk.use_ = Some("enc".into()),
            |jwk| jwk.alg = Some("HS256".into()),
            |jwk| jwk.kid = Some("another".into()),
        ];
        for (index, change) in cases.into_iter().enumerate() {
            let mut jwk = good.clone();
            change(&mut jwk);
            assert_eq!(jwk.verifying_key(), None, "case {index}");
        }
    }
}
