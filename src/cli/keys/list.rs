//! `auth-service keys list`.

use auth_service_records::clock::rfc3339;
use auth_service_store::key_set::{KeyRecord, KeySetRecord, KeyState};
use auth_service_token::{Kid, SealingKey};
use serde::Serialize;

use super::access::on_keys;
use crate::{
    cli::output::{Failed, Report},
    config::Sources,
};

#[derive(Serialize)]
pub(super) struct Listed {
    keys: Vec<KeyLine>,
}

#[derive(Serialize)]
struct KeyLine {
    kid: Kid,
    /// `signing`, `waiting` or `published`.
    state: &'static str,
    created_at: String,
    sign_from: String,
    /// For a key that no longer signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    publish_until: Option<String>,
    /// Whether the secrets of the settings open the private key. Absent without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    opens: Option<bool>,
}

impl Report for Listed {
    /// One line for each key.
    fn text(&self) -> String {
        if self.keys.is_empty() {
            return "No keys: the first server with ACCESS_TOKEN_ALGORITHM=ES256 makes one".to_owned();
        }
        self.keys.iter().map(KeyLine::text).collect::<Vec<_>>().join("\n")
    }
}

impl KeyLine {
    fn new(record: &KeySetRecord, key: &KeyRecord, now: u64, secrets: &[SealingKey]) -> Self {
        Self {
            kid: key.kid(),
            state: match record.state(key, now) {
                KeyState::Waiting => "waiting",
                KeyState::Signing => "signing",
                KeyState::Retired => "published",
            },
            created_at: rfc3339(key.created_at),
            sign_from: rfc3339(key.sign_from),
            publish_until: key.publish_until.map(rfc3339),
            opens: (!secrets.is_empty()).then(|| key.open(secrets).is_some()),
        }
    }

    fn text(&self) -> String {
        let Self { kid, state, created_at, sign_from, publish_until, opens } = self;
        let until = publish_until.as_ref().map(|until| format!(" published until {until}")).unwrap_or_default();
        let sealed = if *opens == Some(false) { ", AUTH_SECRET_KEY does not open it" } else { "" };
        format!("{kid} {state:9} created {created_at} signs from {sign_from}{until}{sealed}")
    }
}

pub(super) fn list(sources: &Sources) -> Result<Listed, Failed> {
    on_keys(sources, async |access| {
        let (record, now) = (access.store.key_set().await?.record, access.store.now_seconds());
        let line = |key| KeyLine::new(&record, key, now, &access.secrets);
        Ok(Listed { keys: record.keys().iter().map(line).collect() })
    })
}
