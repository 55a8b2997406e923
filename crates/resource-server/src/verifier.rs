//! The verifier: the offline check, and what happens when the offline check cannot tell.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use auth_service_token::{Keys, Parties};
use http::HeaderMap;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    client::{CallError, Client},
    feed::{Feed, Standing},
    introspection::Introspection,
    keys::KeySource,
    offline::{Offline, Tokens},
    poller::Poller,
    refusal::Refusal,
    start_error::StartError,
    verified::VerifiedToken,
};

/// No token of auth-service is longer, by far.
const LONGEST_TOKEN: usize = 4096;

/// Verifies access tokens. Clones share their keys, the feed and the tasks that follow both.
#[derive(Clone)]
pub struct Verifier(Arc<Running>);

struct Running {
    client: Arc<Client>,
    parties: Parties,
    tokens: Tokens,
    keys: Arc<KeySource>,
    feed: Arc<Feed>,
    introspection: Introspection,
    deadline: Duration,
    /// They end when this value is dropped.
    _tasks: JoinSet<()>,
}

/// What a verifier is made of.
pub(crate) struct Parts {
    pub(crate) client: Client,
    pub(crate) parties: Parties,
    pub(crate) bound: Duration,
    pub(crate) deadline: Duration,
    pub(crate) introspections: usize,
}

impl Verifier {
    pub(crate) async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { client, parties, bound, deadline, introspections } = parts;
        let (client, feed) = (Arc::new(client), Arc::new(Feed::new(bound)));
        let keys = Keys::default();
        let tokens = Tokens::new(parties.clone(), keys.clone());
        let keys = Arc::new(KeySource::new(Arc::clone(&client), Arc::clone(&feed), keys));
        let mut poller = Poller::new(Arc::clone(&client), Arc::clone(&feed), Arc::clone(&keys));
        // The task fetches the keys again if this fails.
        let (polled, _) = tokio::join!(poller.poll(), keys.fetch());
        if let Err(CallError::Credentials) = polled {
            return Err(StartError::Credentials);
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(poller.run());
        tasks.spawn(Arc::clone(&keys).run());
        let introspection = Introspection::new(introspections, deadline);
        Ok(Self(Arc::new(Running { client, parties, tokens, keys, feed, introspection, deadline, _tasks: tasks })))
    }

    /// Whether tokens are checked offline: the feed is not older than its bound. For readiness checks and metrics.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.0.feed.is_fresh()
    }

    /// The age of the feed: all removals that were acknowledged before are known. `None` before the first answer.
    #[must_use]
    pub fn feed_age(&self) -> Option<Duration> {
        self.0.feed.age()
    }

    /// Verifies a token, without `Bearer`. Usually offline, without waiting.
    ///
    /// # Errors
    /// Every [`Refusal`].
    pub async fn verify(&self, token: &str) -> Result<VerifiedToken, Refusal> {
        self.verify_in(token, &HeaderMap::new()).await
    }

    /// Verifies a token. If auth-service must be asked, it gets the `trace` of the request that brought the token.
    pub(crate) async fn verify_in(&self, token: &str, trace: &HeaderMap) -> Result<VerifiedToken, Refusal> {
        let Running { client, parties, keys, introspection, deadline, .. } = &*self.0;
        if token.len() > LONGEST_TOKEN {
            return Err(Refusal::Invalid);
        }
        let mut offline = self.check(token);
        if offline == Offline::UnknownKey {
            match timeout(*deadline, keys.fetch_unknown()).await {
                Ok(Ok(())) => offline = self.check(token),
                Ok(Err(_)) | Err(_) => return Err(Refusal::Unavailable),
            }
        }
        match offline {
            Offline::Accepted(verified) => Ok(verified),
            Offline::Refused(refusal) => Err(refusal),
            Offline::UnknownKey if !keys.are_changing() => Err(Refusal::Invalid),
            Offline::UnknownKey | Offline::Stale => introspection.verify(token, trace, parties, client).await,
        }
    }

    /// The check without the server.
    fn check(&self, token: &str) -> Offline {
        // Without keys, the server must check the token.
        if !self.0.keys.is_trusted() {
            return Offline::Stale;
        }
        let offline = self.0.tokens.verify(token, unix_seconds());
        let Offline::Accepted(VerifiedToken { sid, eid, .. }) = offline else { return offline };
        match self.0.feed.standing(sid, eid) {
            Standing::Live => offline,
            Standing::Revoked => Offline::Refused(Refusal::Revoked),
            Standing::Unknown => Offline::Stale,
        }
    }
}

/// By a clock before 1970, every token has expired: the clock is wrong, and a wrong clock must not keep tokens alive.
fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs())
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Running { client, parties, .. } = &*self.0;
        f.debug_struct("Verifier").field("client", client).field("parties", parties).finish_non_exhaustive()
    }
}
