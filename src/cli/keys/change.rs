//! `auth-service keys rotate` and `auth-service keys revoke`.

use std::time::Duration;

use auth_service_records::clock::rfc3339;
use auth_service_store::{
    Store,
    key_set::{KeyRecord, KeySetRecord},
};
use auth_service_token::{Kid, SealingKey};
use clap::ArgMatches;
use serde::Serialize;
use tokio::time::sleep;

use super::access::{Access, on_keys};
use crate::{
    cli::output::{Failed, Report},
    config::Sources,
};

/// The maximum number of tries of a change, if the servers change the keys at the same time.
const TRIES: usize = 20;
const WAIT_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Serialize)]
pub(super) struct Rotated {
    result: &'static str,
    kid: Kid,
    sign_from: String,
}

impl Report for Rotated {
    fn text(&self) -> String {
        format!("The key {} is published, and signs from {}", self.kid, self.sign_from)
    }
}

#[derive(Serialize)]
pub(super) struct Revoked {
    result: &'static str,
    kid: Kid,
    /// The key that signs now.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing: Option<Kid>,
}

impl Report for Revoked {
    fn text(&self) -> String {
        let signs = self.signing.map(|kid| format!(", and the key {kid} signs")).unwrap_or_default();
        format!("The key {} is revoked{signs}", self.kid)
    }
}

pub(super) fn rotate(sources: &Sources) -> Result<Rotated, Failed> {
    on_keys(sources, async |access| {
        access.requires_secrets()?;
        let lead = access.settings.lead_seconds;
        change(&access.store, |record, now| {
            if let Some(key) = record.waiting(now) {
                return Err(key_waits(key));
            }
            access.opens_what_signs(record, now)?;
            let lead = if record.keys().is_empty() { access.shortest_lead } else { lead };
            let key = record.make_next(now, now + lead, &access.secrets)?;
            Ok(Rotated { result: "key_made", kid: key.kid(), sign_from: rfc3339(key.sign_from) })
        })
        .await
    })
}

pub(super) fn revoke(matches: &ArgMatches, sources: &Sources) -> Result<Revoked, Failed> {
    let kid = matches.get_one::<String>("kid").and_then(|kid| Kid::parse(kid)).ok_or_else(not_found)?;
    on_keys(sources, async |access| {
        access.requires_secrets()?;
        let successor_signs_from = change(&access.store, |record, now| {
            let key = record.keys().iter().find(|key| key.kid() == kid).ok_or_else(not_found)?;
            if record.signing(now).is_none_or(|signing| signing.kid() != key.kid()) {
                return Ok(0);
            }
            Ok(record.replace_signing(now, now + access.shortest_lead, &access.secrets)?)
        })
        .await?;
        // All servers turn to the next key before this one goes, so that no server signs with a key that others refuse.
        while access.store.now_seconds() < successor_signs_from {
            sleep(WAIT_INTERVAL).await;
        }
        // Before the key goes, so that verifiers elsewhere drop the key, whatever their caches say.
        access.store.publish(&[kid.as_str()]).await?;
        change(&access.store, |record, now| {
            record.remove(kid);
            Ok(Revoked { result: "key_revoked", kid, signing: record.signing(now).map(KeyRecord::kid) })
        })
        .await
    })
}

/// Removes the keys that none of the secrets opens, and tells verifiers elsewhere.
pub(in crate::cli) async fn remove_unopenable(store: &Store, secrets: &[SealingKey]) -> Result<(), Failed> {
    let record = store.key_set().await?.record;
    let unopenable = record.keys().iter().filter(|key| key.open(secrets).is_none());
    for key in unopenable {
        store.publish(&[key.kid().as_str()]).await?;
    }
    change(store, |record, _| {
        record.remove_unopenable(secrets);
        Ok(())
    })
    .await
}

/// Changes the keys. Repeats `change` if a server has changed them at the same time.
async fn change<T>(
    store: &Store,
    mut change: impl FnMut(&mut KeySetRecord, u64) -> Result<T, Failed>,
) -> Result<T, Failed> {
    for _ in 0..TRIES {
        let (stored, now) = (store.key_set().await?, store.now_seconds());
        let mut next = stored.record.clone();
        let outcome = change(&mut next, now)?;
        if next == stored.record || store.replace_key_set(&stored, &next, now + 1).await? {
            return Ok(outcome);
        }
    }
    Err(Failed::new("keys_changed", "the keys changed during every attempt; run the command again"))
}

impl Access {
    fn requires_secrets(&self) -> Result<(), Failed> {
        if self.secrets.is_empty() {
            return Err(Failed::wrong_usage(
                "set AUTH_SECRET_KEY and REFRESH_SECRET_KEY to the secrets of the servers",
            ));
        }
        Ok(())
    }

    /// Fails with other secrets than those of the servers, because the servers could not open the new key.
    fn opens_what_signs(&self, record: &KeySetRecord, now: u64) -> Result<(), Failed> {
        if record.signing(now).is_some_and(|key| key.open(&self.secrets).is_none()) {
            let sentence = "AUTH_SECRET_KEY does not open the current key; use the secrets of the servers";
            return Err(Failed::wrong_usage(sentence));
        }
        Ok(())
    }
}

fn key_waits(key: &KeyRecord) -> Failed {
    let sign_from = rfc3339(key.sign_from);
    Failed::new("key_waits", format!("the key {} waits already, and signs from {sign_from}", key.kid()))
}

fn not_found() -> Failed {
    Failed::new("key_not_found", "there is no such key; `auth-service keys list` prints the keys")
}
