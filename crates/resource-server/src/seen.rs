//! The tokens that have been verified, so that a repeated token costs no signature check.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use auth_service_token::Id;

use crate::verified::VerifiedToken;

/// Threads that verify other tokens rarely wait for each other.
const SHARDS: usize = 16;
/// For each generation of each shard. 65,536 tokens in all, about 13 MB.
const TOKENS: usize = 2048;

pub(crate) struct Seen([Mutex<Generations>; SHARDS]);

#[derive(Default)]
struct Generations {
    young: HashMap<Id, VerifiedToken>,
    old: HashMap<Id, VerifiedToken>,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }

    pub(crate) fn get_or_verify<E>(
        &self,
        token: &str,
        verify: impl FnOnce() -> Result<VerifiedToken, E>,
    ) -> Result<VerifiedToken, E> {
        let digest = Id::digest(token.as_bytes());
        let shard = &self.0[usize::from(digest.as_str().as_bytes()[0]) % SHARDS];
        let found = || shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verified) = found().get(&digest) {
            return Ok(verified);
        }
        let verified = verify()?;
        found().insert(digest, verified);
        Ok(verified)
    }
}

impl Generations {
    fn get(&mut self, digest: &Id) -> Option<VerifiedToken> {
        self.young.get(digest).or_else(|| self.old.get(digest)).copied()
    }

    fn insert(&mut self, digest: Id, verified: VerifiedToken) {
        if self.young.len() >= TOKENS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, verified);
    }
}
