//! The keys of the server: fetched at the start, refreshed as `Cache-Control` asks, and at once for an unknown key.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use auth_service_token::Jwk;
use http::{HeaderMap, header};
use serde::Deserialize;
use tokio::{
    sync::{Mutex, Notify},
    time::sleep,
};

use crate::{
    client::{Call, CallError, Client},
    feed::Feed,
    offline::{Offline, TrustedKeys},
    settings::Expected,
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
/// The bounds of `max-age`, and its value for an answer without it.
const REFRESH: (Duration, Duration, Duration) =
    (Duration::from_mins(1), Duration::from_mins(5), Duration::from_mins(15));
/// How long keys are trusted after their last answer. Only a fresh feed makes use of keys at all, and the feed names
/// revoked keys, so this bound ends nothing but a fault in which the feed answers and the keys do not.
const TRUSTED: Duration = Duration::from_hours(1);

/// The keys, and the task that fetches them.
pub(crate) struct Keys {
    client: Arc<Client>,
    feed: Arc<Feed>,
    expected: Expected,
    trusted: RwLock<(Arc<TrustedKeys>, Instant)>,
    /// One fetch at a time. Whoever waits for the lock sees the outcome of the fetch that it has waited for.
    last: Mutex<Option<Attempt>>,
    key_revoked: Notify,
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

impl Keys {
    pub(crate) fn new(client: Arc<Client>, feed: Arc<Feed>, expected: &Expected) -> Self {
        let trusted = RwLock::new((Arc::new(TrustedKeys::new(expected.clone(), [])), Instant::now()));
        Self { client, feed, expected: expected.clone(), trusted, last: Mutex::new(None), key_revoked: Notify::new() }
    }

    /// Verifies a token offline. The feed is not asked.
    pub(crate) fn verify(&self, token: &str, now: u64) -> Offline {
        let (keys, until) = {
            let trusted = self.trusted.read().unwrap_or_else(PoisonError::into_inner);
            (Arc::clone(&trusted.0), trusted.1)
        };
        // Without keys, the server must check the token.
        if Instant::now() >= until { Offline::Stale } else { keys.verify(token, now) }
    }

    /// Fetches the keys for the first time. The task tries again if this fails.
    pub(crate) async fn fetch_first(&self) {
        let _ = self.fetch(&mut *self.last.lock().await).await;
    }

    /// Fetches the keys because of an unknown key, unless they have just been fetched.
    pub(crate) async fn fetch_unknown(&self) -> Result<(), CallError> {
        let mut last = self.last.lock().await;
        match *last {
            Some(Attempt { began, succeeded }) if began.elapsed() < COOL_DOWN => {
                if succeeded {
                    Ok(())
                } else {
                    Err(CallError::Timeout)
                }
            }
            _ => self.fetch(&mut last).await.map(|_| ()),
        }
    }

    /// Stops trusting the revoked keys of the feed at once, and wakes the task.
    pub(crate) fn drop_revoked(&self) {
        let mut trusted = self.trusted.write().unwrap_or_else(PoisonError::into_inner);
        let left = trusted.0.without(|kid| self.feed.is_revoked_key(kid));
        trusted.0 = Arc::new(left);
        self.key_revoked.notify_one();
    }

    /// Fetches the keys again and again.
    pub(crate) async fn run(self: Arc<Self>) {
        // Fetches at once if the first fetch has failed.
        let mut pause = if self.last.lock().await.is_some_and(|last| last.succeeded) { REFRESH.0 } else { RETRY };
        loop {
            tokio::select! {
                () = sleep(pause) => {}
                () = self.key_revoked.notified() => {}
            }
            pause = match self.fetch(&mut *self.last.lock().await).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::debug!(%error, "the keys could not be fetched");
                    RETRY
                }
            };
        }
    }

    /// Fetches the keys. Returns when to fetch them again.
    async fn fetch(&self, last: &mut Option<Attempt>) -> Result<Duration, CallError> {
        let began = Instant::now();
        // Counts as a failure if the caller leaves in the middle.
        *last = Some(Attempt { began, succeeded: false });
        let answer = self.client.send(&Call::get(PATH, LONGEST), PATIENCE).await?;
        let malformed = |_| CallError::Malformed("it is not a set of keys");
        let set: JwkSet = serde_json::from_slice(&answer.body).map_err(malformed)?;
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok()?.verifying_key());
        let mut trusted = self.trusted.write().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that no key comes back that the feed revokes meanwhile.
        let keys: Vec<_> = keys.filter(|key| !self.feed.is_revoked_key(&key.kid())).collect();
        if !trusted.0.has_exactly(&keys) {
            trusted.0 = Arc::new(TrustedKeys::new(self.expected.clone(), keys));
        }
        trusted.1 = began + TRUSTED;
        *last = Some(Attempt { began, succeeded: true });
        Ok(max_age(&answer.headers))
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
    use http::HeaderValue;

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
