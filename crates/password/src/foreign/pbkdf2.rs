//! Hashes with PBKDF2 (RFC 8018 section 5.2).

use std::num::NonZeroU32;

use ring::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512},
    pbkdf2::{Algorithm, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512, verify},
};

use super::fields::{base64, hex, number};
use crate::unusable::Unusable;

/// Twice the default of Django 5.2. Takes from half a second to a second of a core.
const MAX_ITERATIONS: u32 = 2_000_000;
/// The number of iterations for each unit of work. Measured: 3 with SHA-256, and 1.3 with SHA-512.
const ITERATIONS_PER_WORK: u32 = 8;

/// A hash with PBKDF2.
pub(crate) struct Pbkdf2 {
    algorithm: Algorithm,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Pbkdf2 {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('$');
        let ((algorithm, length), iterations, salt, output) = match text.strip_prefix("pbkdf2:") {
            Some(_) => {
                let mut method = parts.next()?.split(':').skip(1);
                let (digest, iterations, None) = (method.next()?, method.next()?, method.next()) else { return None };
                (algorithm(digest)?, iterations, parts.next()?, hex(parts.next()?)?)
            }
            None => {
                let digest = parts.next()?.strip_prefix("pbkdf2_")?;
                (algorithm(digest)?, parts.next()?, parts.next()?, base64(parts.next()?)?)
            }
        };
        // Each further digest would cost all iterations again.
        let is_whole = parts.next().is_none() && output.len() == length;
        let iterations = NonZeroU32::new(number(iterations)?)?;
        is_whole.then(|| Self { algorithm, iterations, salt: salt.as_bytes().to_vec(), output })
    }

    pub(super) fn bounded(self) -> Result<Self, Unusable> {
        if self.iterations.get() <= MAX_ITERATIONS { Ok(self) } else { Err(Unusable::Cost) }
    }

    pub(super) fn work(&self) -> u32 {
        self.iterations.get() / ITERATIONS_PER_WORK
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        verify(self.algorithm, self.iterations, &self.salt, password, &self.output).is_ok()
    }
}

/// The function, and the length of its digest in bytes. Django and Werkzeug store one digest.
fn algorithm(digest: &str) -> Option<(Algorithm, usize)> {
    match digest {
        "sha1" => Some((PBKDF2_HMAC_SHA1, SHA1_FOR_LEGACY_USE_ONLY.output_len())),
        "sha256" => Some((PBKDF2_HMAC_SHA256, SHA256.output_len())),
        "sha512" => Some((PBKDF2_HMAC_SHA512, SHA512.output_len())),
        _ => None,
    }
}
