//! The keys of the server: fetched at the start, refreshed as `Cache-Control` asks, and at once for an unknown key.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use auth_service_token::{Jwk, KeySet, Keys, VerifyingKey};
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use tokio::{
    sync::{Mutex as AsyncMutex, Notify},
    time::sleep,
};

use crate::{
    client::{Call, CallError, Client},
    feed::Feed,
};

const PATH: &str = "/.well-known/jwks.json";
/// A key takes about 250 bytes.
const LONGEST: usize = 64 * 1024;
/// Longer than an answer takes, because nobody waits for most answers.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often unknown keys make the verifier ask, at most. Anybody can send tokens with unknown keys.
const COOL_DOWN: Duration = Duration::from_secs(10);
/// After a failure, unless somebody asks earlier.
const RETRY: Duration = Duration::from_secs(5);
/// How long after the revocation of a key the server is asked about tokens with unknown keys.
const CHANGE: Duration = Duration::from_secs(30);
/// After the revocation of a key, until [`CHANGE`] has passed.
const RETRY_IN_CHANGE: Duration = Duration::from_secs(2);
/// The bounds of `max-age`, and its value for an answer without it.
const REFRESH: (Duration, Duration, Duration) =
    (Duration::from_mins(1), Duration::from_mins(5), Duration::from_mins(15));
/// How long keys are trusted after their last answer. Only a fresh feed makes use of keys at all, and the feed names
/// revoked keys, so this bound ends nothing but a fault in which the feed answers and the keys do not.
const TRUSTED: Duration = Duration::from_hours(1);

/// Fetches the keys.
pub(crate) struct KeySource {
    client: Arc<Client>,
    feed: Arc<Feed>,
    keys: Keys,
    /// One replacement at a time, so that no key comes back that the feed revokes meanwhile.
    replacing: Mutex<()>,
    /// One fetch for unknown keys at a time. Whoever waits for the lock sees the outcome of the fetch that it has waited
    /// for.
    last_unknown: AsyncMutex<Option<Attempt>>,
    key_revoked: Notify,
    /// When the feed named a revoked key for the last time.
    revoked_at: Mutex<Option<Instant>>,
}

#[derive(Clone, Copy)]
struct Attempt {
    began: Instant,
    succeeded: bool,
}

/// RFC 7517, section 5. Keys of other kinds are left out.
#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<serde_json::Value>,
}

impl KeySource {
    /// `keys` are those of the check of tokens.
    pub(crate) fn new(client: Arc<Client>, feed: Arc<Feed>, keys: Keys) -> Self {
        let (replacing, last_unknown, key_revoked) = (Mutex::default(), AsyncMutex::default(), Notify::new());
        Self { client, feed, keys, replacing, last_unknown, key_revoked, revoked_at: Mutex::default() }
    }

    /// Whether the keys are there, and not too old.
    pub(crate) fn is_trusted(&self) -> bool {
        self.keys.read_at().is_some_and(|read_at| read_at.elapsed() <= TRUSTED)
    }

    /// Fetches the keys because of an unknown key, unless an unknown key has caused a fetch a moment ago.
    pub(crate) async fn fetch_unknown(&self) -> Result<(), CallError> {
        let mut last = self.last_unknown.lock().await;
        match *last {
            Some(Attempt { began, succeeded: true }) if began.elapsed() < COOL_DOWN => Ok(()),
            Some(Attempt { began, succeeded: false }) if began.elapsed() < COOL_DOWN => Err(CallError::Timeout),
            _ => {
                let began = Instant::now();
                // Counts as a failure if the caller leaves in the middle.
                *last = Some(Attempt { began, succeeded: false });
                self.fetch().await?;
                *last = Some(Attempt { began, succeeded: true });
                Ok(())
            }
        }
    }

    /// Stops trusting the revoked keys of the feed at once, and wakes the task.
    pub(crate) fn drop_revoked(&self) {
        if let Some(read_at) = self.keys.read_at() {
            let keys = self.keys.current();
            self.replace(keys.jwks().iter().filter_map(Jwk::verifying_key), read_at);
        }
        *self.revoked_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.key_revoked.notify_one();
    }

    /// Whether a key was revoked a moment ago. Another key signs already, but some servers may not publish this key yet.
    pub(crate) fn are_changing(&self) -> bool {
        let revoked_at = *self.revoked_at.lock().unwrap_or_else(PoisonError::into_inner);
        revoked_at.is_some_and(|revoked_at| revoked_at.elapsed() <= CHANGE)
    }

    /// Fetches the keys again and again.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut pause = if self.is_trusted() { REFRESH.0 } else { RETRY };
        loop {
            tokio::select! {
                () = sleep(pause) => {}
                () = self.key_revoked.notified() => {}
            }
            pause = match self.fetch().await {
                Ok(_) if self.are_changing() => RETRY_IN_CHANGE,
                Ok(pause) => pause,
                Err(error) => {
                    tracing::debug!(%error, "the keys could not be fetched");
                    RETRY
                }
            };
        }
    }

    /// Fetches the keys. Returns when to fetch them again.
    pub(crate) async fn fetch(&self) -> Result<Duration, CallError> {
        let began = Instant::now();
        let mut call = Call::get(PATH, LONGEST);
        // A cache on the way may have keys that the server no longer publishes.
        call.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let answer = self.client.send(&call, PATIENCE).await?;
        let malformed = |_| CallError::Malformed("it is not a set of keys");
        let set: JwkSet = serde_json::from_slice(&answer.body).map_err(malformed)?;
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok()?.verifying_key());
        self.replace(keys, began);
        Ok(max_age(&answer.headers))
    }

    /// Replaces the keys, without those that the feed revokes.
    fn replace(&self, keys: impl Iterator<Item = VerifyingKey>, read_at: Instant) {
        let _one = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<_> = keys.filter(|key| !self.feed.is_revoked_key(&key.kid())).collect();
        let set = KeySet::new(&keys, None);
        // The tokens that were verified under another set are forgotten.
        if set.jwks() == self.keys.current().jwks() {
            self.keys.confirm(read_at);
        } else {
            self.keys.replace(set, read_at);
        }
    }
}

/// `max-age` of `Cache-Control`, within bounds (RFC 9111, section 5.2.2.1).
fn max_age(headers: &HeaderMap) -> Duration {
    let (least, usual, most) = REFRESH;
    let directives = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let seconds = directives
        .flat_map(|value| value.split(','))
        .find_map(|directive| directive.trim().strip_prefix("max-age=")?.parse().ok());
    seconds.map_or(usual, Duration::from_secs).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_again_after_max_age_within_bounds() {
        for (value, seconds) in [
            ("public, max-age=300", 300),
            ("max-age=0", 60),
            ("max-age=31536000, immutable", 900),
            ("no-store", 300),
            ("max-age=x", 300),
        ] {
            let headers = [(header::CACHE_CONTROL, HeaderValue::from_static(value))].into_iter().collect();
            assert_eq!(max_age(&headers), Duration::from_secs(seconds), "{value}");
        }
        assert_eq!(max_age(&HeaderMap::new()), Duration::from_secs(300));
    }
}
