//! The keys that the servers make themselves and keep in the store. Every server runs the same task: it reads the key
//! set each second, and does what is due. A change takes effect only if no other server has changed the set since.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use auth_service_records::{
    clock::{Clock, rfc3339},
    error::{Error, Outage},
};
use auth_service_store::{
    Store,
    key_set::{KeyPolicy, KeyRecord, KeySetRecord},
};
use auth_service_token::{KeySet, Keys, Kid, SIGNS_FOR, SealingKey};
use tokio::time::sleep;

use crate::log::Seldom;

/// How long the first key, and one that replaces a revoked key, is published before it signs, in seconds. All servers
/// read it meanwhile, because they read the key set each second.
pub(crate) const FIRST_LEAD_SECONDS: u64 = 2;

/// How often the key set is read.
const INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the keys of the process up to date.
pub(super) struct Keeper {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) keys: Keys,
    /// Open the private keys. The first seals new ones.
    pub(super) secrets: Vec<SealingKey>,
    /// `None` if this server does not sign with ES256: it then changes nothing.
    pub(super) policy: Option<KeyPolicy>,
    /// The set that was read last, and when the read began.
    pub(super) read: Option<(KeySetRecord, Instant)>,
    /// The set and its signing key that the process has now.
    pub(super) published: Option<(KeySetRecord, Option<Kid>)>,
    pub(super) failures: Seldom,
}

/// What the server knows of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// The set has no key that signs now.
    NoneSigns,
    /// A key signs, and this server has opened it.
    Signs,
    /// A key signs, but none of the secrets opens it.
    Sealed(Kid),
}

impl Keeper {
    /// Keeps the keys up to date, for ever.
    pub(super) async fn run(mut self) {
        loop {
            sleep(self.pause()).await;
            // Before the read, because a slow store must not delay the moment when the next key signs.
            self.publish();
            match self.refresh().await {
                Ok(()) => {
                    if let Known::Sealed(kid) = self.publish()
                        && self.policy.is_some()
                    {
                        self.report(&cannot_open(kid));
                    }
                }
                Err(error) => {
                    let is_old = self.keys.read_at().is_none_or(|read_at| read_at.elapsed() > SIGNS_FOR);
                    match unreadable(&error) {
                        Some(sentence) => self.report(&sentence),
                        None if is_old && self.policy.is_some() => {
                            self.report(&format!("the signing keys cannot be read: {}", why(&error)));
                        }
                        None => {}
                    }
                }
            }
        }
    }

    /// Logs a lasting fault, once a minute.
    fn report(&self, sentence: &str) {
        if let Some(times) = self.failures.due() {
            tracing::error!(times, "{sentence}");
        }
    }

    /// Until the next read, or the moment when the next key signs: then all servers turn to that key at once.
    fn pause(&self) -> Duration {
        let now = Duration::from_millis(self.clock.now_millis());
        let waiting = self.read.as_ref().and_then(|(record, _)| record.waiting(now.as_secs()));
        waiting.map_or(INTERVAL, |key| Duration::from_secs(key.sign_from).saturating_sub(now).min(INTERVAL))
    }

    /// Reads the set, and does what is due.
    ///
    /// # Errors
    /// An error of the store. The process keeps the keys that it has.
    pub(super) async fn refresh(&mut self) -> Result<(), Error> {
        let mut began = Instant::now();
        let mut stored = self.store.key_set().await?;
        let now = self.store.now_seconds();
        if let Some(policy) = self.policy.filter(|_| self.opens_what_signs(&stored.record, now)) {
            let mut next = stored.record.clone();
            next.maintain(now, &policy, &self.secrets)?;
            if next != stored.record {
                // A key with the lead of this moment must not appear later.
                if self.store.replace_key_set(&stored, &next, now + 1).await? {
                    log_changes(&stored.record, &next);
                }
                began = Instant::now();
                stored = self.store.key_set().await?;
            }
        }
        self.read = Some((stored.record, began));
        Ok(())
    }

    /// A server that cannot open the keys of the others must not make keys that the others cannot open.
    fn opens_what_signs(&self, record: &KeySetRecord, now: u64) -> bool {
        [record.signing(now), record.waiting(now)].into_iter().flatten().all(|key| key.open(&self.secrets).is_some())
    }

    /// Gives the process the keys of this moment.
    pub(super) fn publish(&mut self) -> Known {
        let Some((record, read_at)) = &self.read else { return Known::NoneSigns };
        let signing = record.signing(self.clock.now_seconds());
        let kid = signing.map(KeyRecord::kid);
        if self.published.as_ref().is_some_and(|(known, signs)| known == record && *signs == kid) {
            self.keys.confirm(*read_at);
        } else {
            let verifying: Vec<_> = record.keys().iter().filter_map(|key| key.verifying_key()).collect();
            let private = signing.and_then(|key| key.open(&self.secrets)).map(Arc::new);
            self.keys.replace(KeySet::new(&verifying, private), *read_at);
            self.published = Some((record.clone(), kid));
        }
        match kid {
            None => Known::NoneSigns,
            Some(_) if self.keys.current().signing().is_some() => Known::Signs,
            Some(kid) => Known::Sealed(kid),
        }
    }
}

/// Why the key set cannot be read although the store answers, and what to do. `None` for an outage of the store, which
/// the connection logs.
pub(super) fn unreadable(error: &Error) -> Option<String> {
    match error {
        Error::Unavailable(Outage::NewerVersion) => Some(
            "a later version of auth-service wrote the record of the signing keys in the store; upgrade this server"
                .to_owned(),
        ),
        Error::Internal(reason) => {
            Some(format!("{reason}; it is damaged: restore it, or delete it, and the servers make new keys"))
        }
        _ => None,
    }
}

fn why(error: &Error) -> String {
    match error {
        Error::Unavailable(outage) => outage.to_string(),
        other => format!("{other:?}"),
    }
}

/// Why a key cannot be opened, and what to do.
pub(super) fn cannot_open(kid: Kid) -> String {
    format!(
        "AUTH_SECRET_KEY does not open the signing key {kid} in the store: give all servers the same secret, and replace \
         it in the steps of docs/secrets.md; if the secret is lost, run `auth-service secrets adopt`"
    )
}

fn log_changes(before: &KeySetRecord, after: &KeySetRecord) {
    let is_in = |record: &KeySetRecord, kid| record.keys().iter().any(|key| key.kid() == kid);
    for key in after.keys().iter().filter(|key| !is_in(before, key.kid())) {
        let sign_from = rfc3339(key.sign_from);
        tracing::info!(kid = %key.kid(), sign_from, "made a signing key");
    }
    for key in before.keys().iter().filter(|key| !is_in(after, key.kid())) {
        tracing::info!(kid = %key.kid(), "removed a signing key whose last token has ended");
    }
}
