//! Hashes with bcrypt.
//!
//! bcrypt ignores all bytes of a password after the 72nd, and so does the first sign-in after an import. From then on,
//! every byte counts.

use argon2::password_hash::phc::Output;
use ring::digest::{SHA256, digest};

use super::fields::{bcrypt_base64, number, output};
use crate::unusable::Unusable;

/// The number of bytes of a password that count, with a zero byte at its end.
const PASSWORD_BYTES: usize = 72;
/// The number of bytes of a hash. The function makes one more.
const OUTPUT_BYTES: usize = 23;
/// A hash of the maximum cost takes about a second of a core.
const MAX_COST: u32 = 14;
/// The work of one round. Measured: 80.
const WORK: u32 = 32;

/// The versions that Python, PHP and Go write. They differ only in how faulty programs once wrote them.
const VERSIONS: [&str; 3] = ["$2a$", "$2b$", "$2y$"];

/// A hash with bcrypt.
pub(crate) struct Bcrypt {
    /// Whether the password is the SHA-256 of the password in hexadecimal, as in Django.
    is_prehashed: bool,
    cost: u32,
    salt: [u8; 16],
    output: Output,
}

impl Bcrypt {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (text, is_prehashed) = match text.strip_prefix("bcrypt_sha256$") {
            Some(text) => (text, true),
            None => (text.strip_prefix("bcrypt$").unwrap_or(text), false),
        };
        let rest = VERSIONS.iter().find_map(|version| text.strip_prefix(version))?;
        let (cost, encoded) = rest.split_once('$').filter(|(cost, encoded)| cost.len() == 2 && encoded.len() == 53)?;
        let (salt, hash) = encoded.split_at_checked(22)?;
        let hash = bcrypt_base64(hash).filter(|hash| hash.len() == OUTPUT_BYTES)?;
        Some(Self {
            is_prehashed,
            cost: number(cost).filter(|cost| (4..32).contains(cost))?,
            salt: bcrypt_base64(salt)?.try_into().ok()?,
            output: output(&hash)?,
        })
    }

    pub(super) fn bounded(self) -> Result<Self, Unusable> {
        if self.cost <= MAX_COST { Ok(self) } else { Err(Unusable::Cost) }
    }

    pub(super) fn work(&self) -> u32 {
        WORK << self.cost
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut key = if self.is_prehashed { hex_of_digest(password) } else { password.to_vec() };
        key.push(0);
        key.truncate(PASSWORD_BYTES);
        let hash = bcrypt::bcrypt(self.cost, self.salt, &key);
        Output::new(&hash[..OUTPUT_BYTES]).is_ok_and(|output| output == self.output)
    }
}

fn hex_of_digest(password: &[u8]) -> Vec<u8> {
    let digest = digest(&SHA256, password);
    digest.as_ref().iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}
