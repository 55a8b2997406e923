//! The record of a security event.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use auth_service_records::{
    clock::rfc3339,
    error::{Error, Outage},
    outbox::Announcement,
};
use auth_service_token::Id;
use serde::Serialize;
use tokio::time::sleep;
use uuid::Uuid;

use super::service::Auth;
use crate::{
    audit::{Caller, Event, Subject},
    webhooks::Metrics,
};

/// How long the server tries to put an event into the outbox, because the change has already happened. The client does not
/// wait as long: its request has a deadline.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause after the first failure. Each further pause is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The body of a webhook.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<Id>,
    /// Only with `AUDIT_EMAILS=on`.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    address: IpAddr,
    request_id: &'a str,
}

impl Auth {
    /// Writes an event into the audit trail, and with webhooks into the outbox. A use case calls this after its change,
    /// and before its answer, so that no client hears of a change whose event can be lost.
    ///
    /// # Errors
    /// An error of the store. The change has happened nevertheless.
    pub(super) async fn record(&self, event: Event, caller: &Caller, subject: Subject<'_>) -> Result<(), Error> {
        self.parts.audit.record(event, caller, subject);
        match &self.parts.webhooks {
            // Boxed, because the large future would otherwise be a part of the future of every request.
            Some(metrics) if event.is_announced() => Box::pin(self.announce(metrics, event, caller, subject)).await,
            _ => Ok(()),
        }
    }

    async fn announce(
        &self,
        metrics: &Metrics,
        event: Event,
        caller: &Caller,
        subject: Subject<'_>,
    ) -> Result<(), Error> {
        let announcement =
            Announcement { id: Id::random()?, user_id: subject.user_id, body: self.body(event, caller, subject) };
        let (start, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            match self.store.announce(&announcement).await {
                Ok(overflowed) => {
                    if overflowed {
                        metrics.overflowed();
                    }
                    return Ok(());
                }
                Err(error) if start.elapsed() + pause > PATIENCE => {
                    metrics.lost();
                    let (event, request_id) = (event.name(), &caller.request_id);
                    tracing::error!(event, request_id, ?error, "the store did not take a webhook; the event is lost");
                    return Err(after_a_change(error));
                }
                Err(_) => sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn body(&self, event: Event, caller: &Caller, subject: Subject<'_>) -> String {
        let Subject { user_id, session_id, email } = subject;
        let email = email.filter(|_| self.parts.audit.emails).map(|email| email.as_str());
        let data = Data { user_id, session_id, email, address: caller.address, request_id: &caller.request_id };
        let body = Body { r#type: event.name(), timestamp: rfc3339(self.now()), data };
        // A struct of texts and numbers always serializes.
        serde_json::to_string(&body).unwrap_or_default()
    }
}

/// The error of a change that has happened. [`Error::Overloaded`] promises that nothing has changed, so a client would
/// repeat the request.
fn after_a_change(error: Error) -> Error {
    match error {
        Error::Overloaded => Error::Unavailable(Outage::Busy),
        other => other,
    }
}
