//! The type that has all use cases as methods, and its parts.

use std::{sync::Arc, time::Duration};

use auth_service_password::Passwords;
use auth_service_records::{
    clock::Clock,
    error::{Error, Outage},
    sealing::FactorKeys,
    session::SessionPolicy,
};
use auth_service_store::Store;
use auth_service_token::{Claims, NoSigningKey, SeenTokens, TokenError, Tokens};

use super::{mail_queue::Mails, revocations::RevocationFeed};
use crate::{audit::Audit, webhooks};

/// How long after a read of the keys this server knows every key that signs. A key is published for two seconds at
/// least before it signs.
const KEYS_ARE_KNOWN_FOR: Duration = Duration::from_secs(2);

/// The parts that all runtimes share.
#[derive(Clone)]
pub struct Parts {
    /// All kinds of token.
    pub tokens: Arc<Tokens>,
    /// Seal the second factors.
    pub factor_keys: Arc<FactorKeys>,
    /// The hashing threads.
    pub passwords: Passwords,
    /// How long sessions and tokens live.
    pub policy: SessionPolicy,
    /// The maximum number of failed sign-ins, and of removals without a token, from one address in 15 minutes. 0 for no
    /// limit.
    pub address_limit: u64,
    /// The maximum number of sign-ups from one address in an hour. 0 for no limit.
    pub signup_limit_per_hour: u64,
    /// The feed of revocations.
    pub revocations: RevocationFeed,
    /// The queue of mails, if the settings name a mail server.
    pub mails: Option<Mails>,
    /// The audit trail of security events.
    pub audit: Audit,
    /// Counts the events of webhooks. `None`: there are no webhooks.
    pub webhooks: Option<webhooks::Metrics>,
    /// The time of the store.
    pub clock: Clock,
}

/// The use cases, over the store of one runtime.
pub struct Auth {
    pub(super) store: Store,
    pub(super) parts: Parts,
    /// The access tokens that this runtime has verified lately.
    pub(super) seen: SeenTokens,
}

impl Auth {
    /// Combines the store of one runtime with the shared parts.
    #[must_use]
    pub fn new(store: Store, parts: Parts) -> Self {
        Self { store, parts, seen: SeenTokens::default() }
    }

    /// How long sessions and tokens live.
    #[must_use]
    pub fn policy(&self) -> SessionPolicy {
        self.parts.policy
    }

    /// Waits while too many lines of the audit trail are not written yet. Every use case that may add a line comes after
    /// such a wait.
    pub async fn trail_has_room(&self) {
        self.parts.audit.trail.has_room().await;
    }

    /// Checks whether sign-ins, token checks and writes would succeed right now. `Some` is the reason why the store only
    /// serves reads, such as token checks.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the reason, if reads fail, [`Error::HashingUnavailable`], or
    /// [`Error::NoSigningKey`].
    pub async fn ready(&self) -> Result<Option<Outage>, Error> {
        if !self.parts.passwords.all_threads_run() {
            return Err(Error::HashingUnavailable);
        }
        self.check_signing()?;
        self.store.ready().await
    }

    /// Whether access tokens can be signed now. A use case asks before it changes anything.
    pub(super) fn check_signing(&self) -> Result<(), Error> {
        if self.parts.tokens.access.can_issue() { Ok(()) } else { Err(NoSigningKey.into()) }
    }

    /// The claims of a genuine access token, expired or not.
    ///
    /// # Errors
    /// As [`Auth::refusal`].
    pub(super) fn verify_expired(&self, access_token: &str) -> Result<Claims, Error> {
        let verified = self.parts.tokens.access.verify_expired(access_token, self.now(), &self.seen);
        verified.map_err(|error| self.refusal(error))
    }

    /// The error for an access token that is not valid. [`Error::Unavailable`] for an unknown key if this server could
    /// not read the keys lately, because the key may be a new one: a client throws its session away on a 401.
    pub(super) fn refusal(&self, error: TokenError) -> Error {
        let knows_all_keys =
            || self.parts.tokens.access.keys().read_at().is_some_and(|read_at| read_at.elapsed() < KEYS_ARE_KNOWN_FOR);
        if error == TokenError::UnknownKey && !knows_all_keys() {
            return Error::Unavailable(Outage::Unreachable);
        }
        error.into()
    }

    /// Seconds since the Unix epoch, by the clock of the store.
    pub(super) fn now(&self) -> u64 {
        self.parts.clock.now_seconds()
    }
}
