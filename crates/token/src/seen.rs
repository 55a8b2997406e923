//! The tokens whose signature was verified lately. To verify an ES256 signature takes 75 µs, and to find the token here
//! less than one.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
};

use ring::digest::{SHA256, digest};

use crate::claims::Claims;

/// The maximum number of tokens in each of the two maps.
const TOKENS: usize = 4096;

/// The SHA-256 of a whole token, its signature included. So another text never passes for a token that was verified.
type Digest = [u8; 32];

/// A bounded map from tokens to their claims. Each thread that verifies tokens should have its own.
///
/// A map must serve one verifier only. For another issuer, audience or key set, the map would pass tokens that the other
/// verifier refuses.
///
/// The map knows nothing of time: whoever uses the claims compares `exp` with the time.
#[derive(Default)]
pub struct SeenTokens(Mutex<Maps>);

/// A full map becomes the older one, and replaces the former older one. So the tokens that are used remain, and nothing
/// has to be sorted.
#[derive(Default)]
struct Maps {
    /// The keys of [`crate::keys::Keys`] that verified these tokens.
    generation: u64,
    newer: HashMap<Digest, Claims>,
    older: HashMap<Digest, Claims>,
}

impl SeenTokens {
    /// The claims of `token`, if it was verified with the keys of this `generation`. Otherwise calls `verify`, and
    /// keeps its result if there is one.
    pub(crate) fn find_or<E>(
        &self,
        token: &str,
        generation: u64,
        verify: impl FnOnce() -> Result<Claims, E>,
    ) -> Result<Claims, E> {
        let key = digest_of(token);
        if let Some(claims) = self.lock().find(key, generation) {
            return Ok(claims);
        }
        let claims = verify()?;
        self.lock().insert(key, claims, generation);
        Ok(claims)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Maps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest_of(token: &str) -> Digest {
    let digest = digest(&SHA256, token.as_bytes());
    std::array::from_fn(|i| digest.as_ref()[i])
}

impl Maps {
    fn find(&mut self, key: Digest, generation: u64) -> Option<Claims> {
        if self.generation != generation {
            return None;
        }
        if let Some(claims) = self.newer.get(&key) {
            return Some(*claims);
        }
        let claims = self.older.remove(&key)?;
        self.insert(key, claims, generation);
        Some(claims)
    }

    fn insert(&mut self, key: Digest, claims: Claims, generation: u64) {
        if self.generation != generation {
            *self = Self { generation, ..Self::default() };
        }
        if self.newer.len() >= TOKENS {
            self.older = mem::take(&mut self.newer);
        }
        self.newer.insert(key, claims);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::id::Id;

    fn claims() -> Claims {
        let id = Id::digest(b"id");
        Claims::of(Uuid::nil(), id)
    }

    fn is_seen(seen: &SeenTokens, token: &str, generation: u64) -> bool {
        let mut was_called = false;
        let result = seen.find_or(token, generation, || {
            was_called = true;
            Err(())
        });
        assert_eq!(result.is_err(), was_called);
        !was_called
    }

    #[test]
    fn only_a_verified_token_is_seen_and_only_under_the_same_keys() {
        let seen = SeenTokens::default();
        assert!(!is_seen(&seen, "token", 1));
        assert!(!is_seen(&seen, "token", 1));
        assert_eq!(seen.find_or::<()>("token", 1, || Ok(claims())), Ok(claims()));
        assert!(is_seen(&seen, "token", 1));
        assert!(!is_seen(&seen, "tokeN", 1));
        assert!(!is_seen(&seen, "token", 2));
    }

    #[test]
    fn a_used_token_remains_and_the_maps_stay_bounded() {
        let seen = SeenTokens::default();
        for n in 0..10 * TOKENS {
            seen.find_or::<()>(&n.to_string(), 1, || Ok(claims())).unwrap();
            assert!(is_seen(&seen, "0", 1), "{n}");
        }
        let maps = seen.lock();
        assert!(maps.newer.len() + maps.older.len() <= 2 * TOKENS);
        drop(maps);
        assert!(!is_seen(&seen, "1", 1));
    }
}
