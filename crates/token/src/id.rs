//! An identifier of 22 base64url characters: session ids, token ids and user tags.

use std::{cell::RefCell, fmt};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The number of characters of an [`Id`].
pub const ID_LEN: usize = 22;

/// Exactly 22 base64url characters (RFC 4648, section 5). An id is `Copy`, needs no allocation, and is safe in a Redis
/// key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; ID_LEN]);

/// Random bytes for 32 ids from one system call. A system call for each id would cost more than the signature of a
/// token.
struct Pool {
    bytes: [u8; 512],
    used: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; 512], used: 512 }) };
}

impl Pool {
    fn take(&mut self) -> Result<[u8; 16], getrandom::Error> {
        if self.used == self.bytes.len() {
            getrandom::fill(&mut self.bytes)?;
            self.used = 0;
        }
        let mut taken = [0; 16];
        // The swap leaves no copy of the id in the pool.
        taken.swap_with_slice(&mut self.bytes[self.used..self.used + 16]);
        self.used += taken.len();
        Ok(taken)
    }
}

impl Id {
    /// 128 bits from the operating system's generator (OWASP ASVS 5.0 clauses 7.2.3 and 11.5.1).
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        POOL.with_borrow_mut(Pool::take).map(|bytes| Self::encode(&bytes))
    }

    /// The first 132 bits of the SHA-256 of `input`.
    #[must_use]
    pub fn digest(input: &[u8]) -> Self {
        let digest = digest(&SHA256, input);
        // 17 bytes encode to 23 characters. An id has the first 22 of them.
        let mut text = [0; ID_LEN + 1];
        encode_into(&digest.as_ref()[..17], &mut text);
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&text[..ID_LEN]);
        Self(id)
    }

    /// Parses exactly 22 characters of the base64url alphabet. Returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; ID_LEN] = text.as_bytes().try_into().ok()?;
        let in_alphabet = |b: &u8| b.is_ascii_alphanumeric() | (*b == b'-') | (*b == b'_');
        // No early exit, so that the compiler can vectorise the loop.
        bytes.iter().fold(true, |all, b| all & in_alphabet(b)).then_some(Self(bytes))
    }

    /// The 22 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The alphabet is ASCII by construction, so the fallback is never used.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn encode(bytes: &[u8; 16]) -> Self {
        let mut text = [0; ID_LEN];
        encode_into(bytes, &mut text);
        Self(text)
    }
}

fn encode_into(bytes: &[u8], text: &mut [u8]) {
    // The encoding fails only if `text` is too short. Both callers size `text` for their input.
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, text);
    debug_assert!(written.is_ok());
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(IdVisitor)
    }
}

/// Accepts borrowed and owned text, because serde passes either, depending on the source of the text.
struct IdVisitor;

impl de::Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("22 characters of base64url")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
        Id::parse(text).ok_or_else(|| E::invalid_length(text.len(), &self))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_million_random_ids_are_unique() {
        let ids: HashSet<Id> = (0..1_000_000).map(|_| Id::random().unwrap()).collect();
        assert_eq!(ids.len(), 1_000_000);
    }

    #[test]
    fn only_22_characters_of_base64url_parse() {
        let id = Id::random().unwrap();
        assert_eq!(Id::parse(id.as_str()), Some(id));
        for bad in ["", "short", "with{braces}in_the_midd", "AAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(Id::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn digest_is_the_start_of_the_sha256_text() {
        let text = URL_SAFE_NO_PAD.encode(digest(&SHA256, b"a@b.example"));
        assert_eq!(Id::digest(b"a@b.example").as_str(), &text[..ID_LEN]);
    }
}
