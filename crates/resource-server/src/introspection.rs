//! Introspection (RFC 7662): the server says whether a token is active. The way out while the feed is stale.

use std::time::{Duration, Instant};

use auth_service_token::{Amr, Id, Parties};
use http::{HeaderMap, HeaderValue, Method, header};
use serde::Deserialize;
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;

use crate::{
    client::{Call, CallError, Client},
    refusal::Refusal,
    verified::VerifiedToken,
};

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
/// An answer takes less than 1 KiB.
const LONGEST: usize = 16 * 1024;

/// Asks the server, with a bounded number of requests at a time.
pub(crate) struct Introspection {
    places: Semaphore,
    /// For the wait for a place and for the answer.
    deadline: Duration,
}

/// RFC 7662, section 2.2. All fields but `active` are missing if the token is not active.
#[derive(Debug, Deserialize)]
struct Introspected {
    active: bool,
    iss: Option<String>,
    aud: Option<String>,
    sub: Option<Uuid>,
    sid: Option<Id>,
    eid: Option<Id>,
    jti: Option<Id>,
    iat: Option<u64>,
    exp: Option<u64>,
    #[serde(default)]
    amr: Amr,
    auth_time: Option<u64>,
}

impl Introspection {
    pub(crate) fn new(at_a_time: usize, deadline: Duration) -> Self {
        Self { places: Semaphore::new(at_a_time), deadline }
    }

    /// Asks the server about a token. `trace` has the headers of the caller's trace.
    pub(crate) async fn verify(
        &self,
        token: &str,
        trace: &HeaderMap,
        parties: &Parties,
        client: &Client,
    ) -> Result<VerifiedToken, Refusal> {
        // The characters of a JWT need no escape in a form.
        if !token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Err(Refusal::Invalid);
        }
        match timeout(self.deadline, self.ask(token, trace, client)).await {
            Ok(Ok(introspected)) => introspected.judge(parties),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a token could not be introspected");
                Err(Refusal::Unavailable)
            }
            Err(_) => Err(Refusal::Unavailable),
        }
    }

    /// Asks each server once, while there is time.
    async fn ask(&self, token: &str, trace: &HeaderMap, client: &Client) -> Result<Introspected, CallError> {
        let until = Instant::now() + self.deadline;
        let _place = self.places.acquire().await;
        let mut call = Call { method: Method::POST, ..Call::get("/introspect", LONGEST) }.authenticated();
        call.headers.extend(trace.clone());
        call.headers.insert(header::CONTENT_TYPE, FORM);
        call.body = format!("token={token}");
        let mut tries = u32::try_from(client.servers()).unwrap_or(1);
        loop {
            let patience = until.saturating_duration_since(Instant::now()) / tries;
            tries -= 1;
            match client.send(&call, patience).await {
                Ok(answer) => {
                    return serde_json::from_slice(&answer.body)
                        .map_err(|_| CallError::Malformed("it is not an introspection response"));
                }
                Err(error) if tries == 0 => return Err(error),
                Err(_) => {}
            }
        }
    }
}

impl Introspected {
    fn judge(self, parties: &Parties) -> Result<VerifiedToken, Refusal> {
        if !self.active {
            return Err(Refusal::Invalid);
        }
        let is = |claim: &Option<String>, value: &str| claim.as_deref() == Some(value);
        if !is(&self.iss, &parties.issuer) || !is(&self.aud, &parties.audience) {
            return Err(Refusal::Invalid);
        }
        let Self { sub, sid, eid, jti, iat, exp, amr, auth_time, .. } = self;
        let verified = || {
            let (sub, sid, eid, jti) = (sub?, sid?, eid?, jti?);
            Some(VerifiedToken { sub, sid, eid, jti, iat: iat?, exp: exp?, amr, auth_time })
        };
        verified().ok_or(Refusal::Invalid)
    }
}
