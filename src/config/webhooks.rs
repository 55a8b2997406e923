//! The settings of webhooks.

use std::time::Duration;

use auth_service_webhook::{WebhookSecrets, WebhookUrl};

use super::reader::Reader;

const URL: &str = "WEBHOOK_URL";
const SECRET: &str = "WEBHOOK_SECRET";

/// Where security events go.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// The receiver.
    pub url: WebhookUrl,
    /// Sign each request.
    pub secrets: WebhookSecrets,
    /// The age at which an event becomes a dead letter.
    pub give_up: Duration,
}

/// `None` without `WEBHOOK_URL`.
pub(super) fn webhooks(reader: &mut Reader<'_>) -> Option<WebhookSettings> {
    let allow_private = reader.switch("WEBHOOK_ALLOW_PRIVATE");
    let give_up = reader.seconds("WEBHOOK_GIVE_UP_SECONDS", 86_400, 1..=604_800);
    let secret = reader.secret(SECRET);
    let Some(url) = reader.text(URL) else {
        if matches!(secret, Ok(Some(_))) {
            reader.warning(SECRET, "has no effect without WEBHOOK_URL");
        }
        return None;
    };
    let url = WebhookUrl::parse(&url, allow_private);
    if let Err(rest) = url {
        reader.problem(URL, rest);
    }
    let secrets = match secret {
        Ok(Some(secret)) => WebhookSecrets::parse(&secret),
        Ok(None) => Err("must be set, because WEBHOOK_URL is set; run `auth-service secrets webhook`"),
        Err(_) => return None,
    };
    if let Err(rest) = secrets {
        reader.problem(SECRET, rest);
    }
    Some(WebhookSettings { url: url.ok()?, secrets: secrets.ok()?, give_up })
}
