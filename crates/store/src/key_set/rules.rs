//! The rules of rotation. Every replica applies the same rules to the same record, so that no replica has to lead.
//!
//! Verifiers elsewhere keep the published keys for a while. So a key is published for the lead before it signs, and
//! stays published until its last token has ended and the lead has passed once more.

use auth_service_records::error::Error;
use auth_service_token::{KeyError, SealingKey};

use super::record::{KeyRecord, KeySetRecord};

/// When keys are made and go. All times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPolicy {
    /// How long a key signs. `None`: until somebody asks for the next key.
    pub rotation: Option<u64>,
    /// How long a key is published before it signs.
    pub lead: u64,
    /// The same for the first key, which no verifier waits for: until every replica has read the key set.
    pub first_lead: u64,
    /// How long a token is accepted: its life and the leeway.
    pub token_life: u64,
}

/// What a key does at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It is published and will sign.
    Waiting,
    /// It signs.
    Signing,
    /// It is published and no longer signs.
    Retired,
}

impl KeySetRecord {
    /// The key that signs at the time `now`: the latest whose time has come.
    #[must_use]
    pub fn signing(&self, now: u64) -> Option<&KeyRecord> {
        self.keys.iter().filter(|key| key.sign_from <= now).max_by_key(|key| (key.sign_from, key.kid()))
    }

    /// The key that signs next.
    #[must_use]
    pub fn waiting(&self, now: u64) -> Option<&KeyRecord> {
        self.keys.iter().filter(|key| key.sign_from > now).min_by_key(|key| (key.sign_from, key.kid()))
    }

    /// What `key`, one of this set, does at the time `now`.
    #[must_use]
    pub fn state(&self, key: &KeyRecord, now: u64) -> KeyState {
        match self.signing(now) {
            Some(signing) if signing.kid() == key.kid() => KeyState::Signing,
            _ if key.sign_from > now => KeyState::Waiting,
            _ => KeyState::Retired,
        }
    }

    /// Does what is due at the time `now`: makes the first or the next key, ends the publication of old keys, and seals
    /// keys for the first of the `secrets`.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn maintain(&mut self, now: u64, policy: &KeyPolicy, secrets: &[SealingKey]) -> Result<(), Error> {
        self.follow_clock(now, policy);
        self.retire(now, policy);
        let made = self.next_due(now, policy).map(|sign_from| KeyRecord::generate(secrets, now, sign_from));
        self.keys.extend(made.transpose().map_err(failed)?);
        self.seal_for_first(secrets).map_err(failed)
    }

    /// Makes the next key, which signs from `sign_from` on.
    ///
    /// # Errors
    /// As [`KeySetRecord::maintain`].
    pub fn make_next(&mut self, now: u64, sign_from: u64, secrets: &[SealingKey]) -> Result<&KeyRecord, Error> {
        self.keys.push(KeyRecord::generate(secrets, now, sign_from).map_err(failed)?);
        Ok(&self.keys[self.keys.len() - 1])
    }

    /// Lets the waiting key, or a new one, sign from `soon` on. Returns the time from which it signs.
    ///
    /// # Errors
    /// As [`KeySetRecord::maintain`].
    pub fn replace_signing(&mut self, now: u64, soon: u64, secrets: &[SealingKey]) -> Result<u64, Error> {
        let waiting = self.waiting(now).map(KeyRecord::kid);
        match self.keys.iter_mut().find(|key| Some(key.kid()) == waiting) {
            Some(key) => {
                key.sign_from = key.sign_from.min(soon);
                Ok(key.sign_from)
            }
            None => {
                self.keys.push(KeyRecord::generate(secrets, now, soon).map_err(failed)?);
                Ok(soon)
            }
        }
    }

    /// From when on a key must sign that has to be made now, if any.
    fn next_due(&self, now: u64, policy: &KeyPolicy) -> Option<u64> {
        if self.keys.is_empty() {
            return Some(now + policy.first_lead);
        }
        let ends = self.signing(now)?.sign_from.saturating_add(policy.rotation?);
        let is_due = self.waiting(now).is_none() && now + policy.lead >= ends;
        is_due.then(|| ends.max(now + policy.lead))
    }

    /// Moves times that the rules would never choose now, because the clock of the store was set back since. Otherwise
    /// no key would sign, or no next key would be made, until the clock shows the old time again.
    fn follow_clock(&mut self, now: u64, policy: &KeyPolicy) {
        if self.signing(now).is_none()
            && let Some(first) = self.keys.iter_mut().min_by_key(|key| (key.sign_from, key.created_at))
        {
            first.sign_from = first.sign_from.min(now + policy.first_lead);
        }
        let latest = now + policy.rotation.unwrap_or(0).max(policy.lead);
        for key in &mut self.keys {
            key.sign_from = key.sign_from.min(latest);
        }
    }

    /// Says how long keys that no longer sign stay published, and removes those whose time is over.
    fn retire(&mut self, now: u64, policy: &KeyPolicy) {
        let Some((signs_since, signing)) = self.signing(now).map(|key| (key.sign_from, key.kid())) else { return };
        for key in &mut self.keys {
            let is_retired = key.sign_from <= now && key.kid() != signing;
            let due = signs_since + policy.token_life + policy.lead;
            key.publish_until = is_retired.then(|| key.publish_until.unwrap_or(due));
        }
        self.keys.retain(|key| key.publish_until.is_none_or(|until| until > now));
    }
}

fn failed(error: KeyError) -> Error {
    Error::Internal(format!("a signing key cannot be made: {error}"))
}
