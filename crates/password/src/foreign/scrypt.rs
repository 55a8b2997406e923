//! Hashes with scrypt (RFC 7914).

use std::fmt;

use aes::Aes256;
use argon2::password_hash::phc::Output;
use auth_service_records::error::Error;
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};
use scrypt::Params;

use super::fields::{base64, hex, number, output};
use crate::{cost::HashCost, unusable::Unusable};

/// The maximum memory times `p`, in KiB: 384 MiB. Such a hash takes about a second of a core.
const MAX_PASSES_KIB: u32 = 384 << 10;
/// The maximum of `r` times `p`. The function first fills 128 bytes times `r` times `p` with PBKDF2, which takes memory
/// and time that the other bounds do not count. OWASP's choices have at most 80.
const MAX_R_TIMES_P: u32 = 1_024;
/// The work for each KiB. Measured: 3.6.
const WORK_PER_KIB: u32 = 2;
/// The number of bytes of the derived key in Firebase's form.
const FIREBASE_KEY: usize = 32;

/// A hash with scrypt.
pub(crate) struct Scrypt {
    log_n: u8,
    r: u32,
    p: u32,
    salt: Vec<u8>,
    /// In Firebase's form, the key of the project. The derived key encrypts it, and the result is the hash.
    signer_key: Option<Vec<u8>>,
    output: Output,
}

impl Scrypt {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("$fbscrypt$") {
            Some(rest) => Self::firebase(rest),
            None => Self::standard(text),
        }
    }

    /// `scrypt$n$salt$r$p$base64` of Django, or `scrypt:n:r:p$salt$hexadecimal` of Werkzeug.
    fn standard(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split('$').collect();
        let (n, r, p, salt, hash) = match parts[..] {
            ["scrypt", n, salt, r, p, hash] => (n, r, p, salt, base64(hash)?),
            [method, salt, hash] => match method.split(':').collect::<Vec<_>>()[..] {
                ["scrypt", n, r, p] => (n, r, p, salt, hex(hash)?),
                _ => return None,
            },
            _ => return None,
        };
        let n = number(n).filter(|n| n.is_power_of_two() && *n > 1)?;
        Some(Self {
            log_n: u8::try_from(n.ilog2()).ok()?,
            r: number(r).filter(|r| *r > 0)?,
            p: number(p).filter(|p| *p > 0)?,
            salt: salt.as_bytes().to_vec(),
            signer_key: None,
            output: output(&hash)?,
        })
    }

    /// `v=1,n=14,r=8,p=1,ss=SALT_SEPARATOR,sk=SIGNER_KEY$salt$hash`, as Supabase writes it, with all texts in base64.
    /// `n` is Firebase's `mem_cost`, and `r` is its `rounds`.
    fn firebase(rest: &str) -> Option<Self> {
        let [parameters, salt, hash] = rest.split('$').collect::<Vec<_>>()[..] else { return None };
        let [version, n, r, p, separator, key] = parameters.split(',').collect::<Vec<_>>()[..] else { return None };
        let mut salt = base64(salt)?;
        salt.extend(base64(separator.strip_prefix("ss=")?)?);
        let (signer_key, hash) = (base64(key.strip_prefix("sk=")?)?, base64(hash)?);
        let is_firebase = version == "v=1" && p == "p=1" && signer_key.len() == hash.len();
        let log_n = number(n.strip_prefix("n=")?).filter(|n| (1..32).contains(n))?;
        is_firebase.then_some(())?;
        Some(Self {
            log_n: u8::try_from(log_n).ok()?,
            r: number(r.strip_prefix("r=")?).filter(|r| *r > 0)?,
            p: 1,
            salt,
            signer_key: Some(signer_key),
            output: output(&hash)?,
        })
    }

    pub(super) fn bounded(self) -> Result<Self, Unusable> {
        let is_bounded = self.memory_kib() <= HashCost::MAX_IMPORTED_MEMORY_KIB
            && self.passes_kib() <= MAX_PASSES_KIB
            && self.r.saturating_mul(self.p) <= MAX_R_TIMES_P;
        if is_bounded { Ok(self) } else { Err(Unusable::Cost) }
    }

    pub(super) fn memory_kib(&self) -> u32 {
        u32::try_from((u64::from(self.r) << self.log_n) / 8).unwrap_or(u32::MAX).max(1)
    }

    fn passes_kib(&self) -> u32 {
        self.memory_kib().saturating_mul(self.p)
    }

    pub(super) fn work(&self) -> u32 {
        self.passes_kib().saturating_mul(WORK_PER_KIB)
    }

    pub(super) fn matches(&self, password: &[u8]) -> Result<bool, Error> {
        let params = Params::new(self.log_n, self.r, self.p).map_err(|e| failed(&e))?;
        let mut key = match &self.signer_key {
            Some(_) => vec![0; FIREBASE_KEY],
            None => vec![0; self.output.len()],
        };
        scrypt::scrypt(password, &self.salt, &params, &mut key).map_err(|e| failed(&e))?;
        if let Some(signer_key) = &self.signer_key {
            let mut cipher = Ctr128BE::<Aes256>::new_from_slices(&key, &[0; 16]).map_err(|e| failed(&e))?;
            key.clone_from(signer_key);
            cipher.apply_keystream(&mut key);
        }
        Ok(Output::new(&key).is_ok_and(|output| output == self.output))
    }
}

fn failed(error: &dyn fmt::Display) -> Error {
    Error::Internal(format!("cannot verify a hash with scrypt: {error}"))
}
