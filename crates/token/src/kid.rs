//! The id of a key.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The number of characters of a [`Kid`]: a SHA-256 digest in base64url.
pub const KID_LEN: usize = 43;

/// The id of a key: its thumbprint (RFC 7638), in base64url. Two different keys never have the same id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid([u8; KID_LEN]);

impl Kid {
    /// Parses exactly 43 characters of the base64url alphabet. Returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; KID_LEN] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).then_some(Self(bytes))
    }

    /// The 43 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The alphabet is ASCII by construction, so the fallback is never used.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The thumbprint of a key with these coordinates in base64url (RFC 7638, section 3).
    pub(crate) fn thumbprint(x: &str, y: &str) -> Self {
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let mut kid = [0; KID_LEN];
        // 32 bytes always encode to 43 characters.
        let written = URL_SAFE_NO_PAD.encode_slice(digest(&SHA256, members.as_bytes()), &mut kid);
        debug_assert!(written.is_ok());
        Self(kid)
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Kid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Kid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a key id has 43 characters of base64url"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::es256::SigningKey;

    #[test]
    fn only_43_characters_of_base64url_are_a_key_id() {
        let kid = SigningKey::generate().unwrap().0.verifying_key().kid();
        assert_eq!(Kid::parse(kid.as_str()), Some(kid));
        let one_too_many = format!("{kid}A");
        for bad in ["", "short", &kid.as_str()[1..], &one_too_many, &"+".repeat(KID_LEN), &"é".repeat(21)] {
            assert_eq!(Kid::parse(bad), None, "{bad}");
        }
    }
}
