//! Public keys as JSON (RFC 7517).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::es256::VerifyingKey;

/// A public key as others read it: a JWK (RFC 7517).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// The key type, always `EC`.
    pub kty: String,
    /// The curve, always `P-256`.
    pub crv: String,
    /// The coordinate `x`, 32 bytes in base64url.
    pub x: String,
    /// The coordinate `y`, 32 bytes in base64url.
    pub y: String,
    /// What the key is for: `sig`.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub use_: Option<String>,
    /// The algorithm: `ES256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// The id of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}

impl From<&VerifyingKey> for Jwk {
    fn from(key: &VerifyingKey) -> Self {
        Self {
            kty: "EC".into(),
            crv: "P-256".into(),
            x: URL_SAFE_NO_PAD.encode(key.x()),
            y: URL_SAFE_NO_PAD.encode(key.y()),
            use_: Some("sig".into()),
            alg: Some("ES256".into()),
            kid: Some(key.kid().as_str().into()),
        }
    }
}

impl Jwk {
    /// The key, if this is a public key of ES256 that may verify signatures. Also `None` if the stated `kid` is
    /// not the thumbprint, because this service never publishes such a key.
    #[must_use]
    pub fn verifying_key(&self) -> Option<VerifyingKey> {
        let coordinate = |text: &str| URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok();
        let stated = |text: &Option<String>, due: &str| text.as_deref().is_none_or(|text| text == due);
        let key = VerifyingKey::from_coordinates(coordinate(&self.x)?, coordinate(&self.y)?);
        let fits = self.kty == "EC"
            && self.crv == "P-256"
            && stated(&self.use_, "sig")
            && stated(&self.alg, "ES256")
            && stated(&self.kid, key.kid().as_str());
        fits.then_some(key)
    }
}
