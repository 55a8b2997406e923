//! The inspection of the key set.

use auth_service_records::{
    clock::rfc3339,
    error::{Error, Outage},
};
use auth_service_token::SealingKey;

use super::{
    record::{KeyRecord, KeySetRecord},
    rules::KeyState,
};
use crate::{
    backend::Backend,
    finding::{Finding, Verdict},
};

const CHECK: &str = "keys";

impl Backend {
    /// Says which ES256 keys there are, and whether the `secrets` open them. Nothing if there are none, or if the store
    /// cannot be reached.
    pub async fn inspect_keys(&self, secrets: &[SealingKey]) -> Vec<Finding> {
        let (place, store) = (self.place(), self.connect().await);
        let (seen, advice) = match store.key_set().await {
            Ok(stored) => {
                let (record, now) = (stored.record, store.now_seconds());
                return record.keys().iter().map(|key| finding(&place, &record, key, now, secrets)).collect();
            }
            Err(Error::Unavailable(Outage::NewerVersion)) => {
                ("a later version of auth-service wrote the record of the keys", "upgrade all servers")
            }
            Err(Error::Internal(_)) => {
                ("the record of the keys is damaged", "delete it, and the servers make new keys")
            }
            Err(_) => return Vec::new(),
        };
        vec![Finding::new(&place, CHECK, Verdict::Warning, seen, advice)]
    }
}

fn finding(place: &str, record: &KeySetRecord, key: &KeyRecord, now: u64, secrets: &[SealingKey]) -> Finding {
    let state = match record.state(key, now) {
        KeyState::Waiting => format!("waits, and signs from {}", rfc3339(key.sign_from)),
        KeyState::Signing => format!("signs since {}", rfc3339(key.sign_from)),
        KeyState::Retired => "is published, and no longer signs".to_owned(),
    };
    let kid = key.kid();
    if secrets.is_empty() || key.publish_until.is_some() || key.open(secrets).is_some() {
        return Finding::new(place, CHECK, Verdict::Ok, format!("{kid} {state}"), "");
    }
    let seen = format!("{kid} {state}, and AUTH_SECRET_KEY does not open this key");
    let advice = "a server with ACCESS_TOKEN_ALGORITHM=ES256 does not start: use the secrets of the other servers; if \
                  they are lost, run `auth-service secrets adopt`";
    Finding::new(place, CHECK, Verdict::Warning, seen, advice)
}
