//! Polls the revocation feed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use auth_service_token::{Id, Kid};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use tokio::time::sleep_until;

use crate::{
    client::{Answer, Call, CallError, Client},
    feed::Feed,
    keys::KeySource,
    outage::Outage,
};

/// The time between the starts of two polls.
const INTERVAL: Duration = Duration::from_millis(500);
/// The wait after the first failure. Each further failure doubles the wait, up to [`INTERVAL`]: an outage never slows
/// the polls down, so the feed is trusted again half a second after the server is back.
const FIRST_RETRY: Duration = Duration::from_millis(50);
/// Room for a window of half a million ids.
const LONGEST: usize = 16 * 1024 * 1024;
const AGE: &str = "revocations-age-ms";

/// The task that follows the feed.
pub(crate) struct Poller {
    client: Arc<Client>,
    feed: Arc<Feed>,
    keys: Arc<KeySource>,
    /// Where the next answer continues.
    place: Option<Place>,
    failures: u32,
    outage: Outage,
}

/// The end of an answer: its cursor and its entity tag.
struct Place {
    path: String,
    etag: Option<HeaderValue>,
}

/// The body of `GET /revocations`.
#[derive(Deserialize)]
struct Revocations {
    cursor: String,
    age_ms: u64,
    reset: bool,
    revoked: Vec<String>,
}

impl Poller {
    pub(crate) fn new(client: Arc<Client>, feed: Arc<Feed>, keys: Arc<KeySource>) -> Self {
        let outage = Outage::new("the revocation feed");
        Self { client, feed, keys, place: None, failures: 0, outage }
    }

    /// Polls until the task is dropped.
    pub(crate) async fn run(mut self) {
        let mut next = Instant::now() + INTERVAL;
        loop {
            sleep_until(next.into()).await;
            let start = Instant::now();
            // An error has been logged.
            let _ = self.poll().await;
            next = start + self.pause();
        }
    }

    /// Polls once.
    pub(crate) async fn poll(&mut self) -> Result<(), CallError> {
        let start = Instant::now();
        // Time is left for a second poll, to another server, before the feed is stale.
        let patience = self.feed.bound() / 2;
        let result = self.ask(start, patience).await;
        match &result {
            Ok(()) => self.failures = 0,
            Err(error) => {
                tracing::debug!(%error, "a poll of the revocation feed failed");
                self.failures += 1;
            }
        }
        match &result {
            _ if self.feed.is_fresh() => self.outage.ends(),
            Ok(()) => self.outage.begins(&"the server itself is behind"),
            Err(error) => self.outage.begins(error),
        }
        result
    }

    fn pause(&self) -> Duration {
        match self.failures {
            0 => INTERVAL,
            failures => FIRST_RETRY.saturating_mul(1 << (failures - 1).min(8)).min(INTERVAL),
        }
    }

    async fn ask(&mut self, start: Instant, patience: Duration) -> Result<(), CallError> {
        let place = self.place.as_ref().filter(|_| !self.feed.needs_window());
        let mut call = Call::get(place.map_or("/revocations", |place| &place.path), LONGEST).authenticated();
        if let Some(etag) = place.and_then(|place| place.etag.as_ref()) {
            call.headers.insert(header::IF_NONE_MATCH, etag.clone());
        }
        let is_window = place.is_none();
        let answer = self.client.send(&call, patience).await?;
        let age = match answer.status {
            StatusCode::NOT_MODIFIED => age_of(&answer)?,
            _ => self.take(&answer, is_window)?,
        };
        if let Some(time) = start.checked_sub(age) {
            self.feed.complete_as_of(time);
        }
        Ok(())
    }

    /// Takes the ids of an answer. Returns the age of the answer.
    fn take(&mut self, answer: &Answer, is_window: bool) -> Result<Duration, CallError> {
        let malformed = |_| CallError::Malformed("it is not a list of revocations");
        let Revocations { cursor, age_ms, reset, revoked } = serde_json::from_slice(&answer.body).map_err(malformed)?;
        let ids: Vec<_> = revoked.iter().filter_map(|id| Id::parse(id)).collect();
        let kids: Vec<_> = revoked.iter().filter_map(|id| Kid::parse(id)).collect();
        if self.feed.add(&ids, &kids, is_window || reset) {
            self.keys.drop_revoked();
        }
        // Anything else could change the meaning of the URL.
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
        let etag = answer.headers.get(header::ETAG).cloned();
        self.place = cursor.bytes().all(is_plain).then(|| Place { path: format!("/revocations?after={cursor}"), etag });
        Ok(Duration::from_millis(age_ms))
    }
}

fn age_of(answer: &Answer) -> Result<Duration, CallError> {
    let age = answer.headers.get(AGE).and_then(|age| age.to_str().ok()?.parse().ok());
    age.map(Duration::from_millis).ok_or(CallError::Malformed("it has no age"))
}
