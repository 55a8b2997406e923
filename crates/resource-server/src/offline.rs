//! The offline check of a token: its signature and its claims.

use std::{borrow::Cow, collections::HashMap};

use auth_service_token::{Id, Kid, LEEWAY_SECONDS, VerifyingKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use uuid::Uuid;

use crate::{refusal::Refusal, seen::Seen, settings::Expected, verified::VerifiedToken};

/// What the offline check says about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offline {
    Accepted(VerifiedToken),
    Refused(Refusal),
    /// An access token in the form of the server, but its key is not known.
    UnknownKey,
    /// Only the server can tell.
    Stale,
}

/// The keys of the server, and the tokens that they have verified. Another set of keys starts without verified tokens.
pub(crate) struct TrustedKeys {
    expected: Expected,
    /// By the whole header of a token, in base64url. The check parses no header, so it refuses every other `typ`, `alg`,
    /// `crit`, `jku` and `jwk` (RFC 8725, sections 3.1 and 3.11).
    by_header: HashMap<String, VerifyingKey>,
    seen: Seen,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    aud: Cow<'a, str>,
    sub: Uuid,
    sid: Id,
    eid: Id,
    jti: Id,
    iat: u64,
    exp: u64,
    #[serde(default)]
    nbf: u64,
}

impl TrustedKeys {
    pub(crate) fn new(expected: Expected, keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        let by_header = keys.into_iter().map(|key| (header(key.kid()), key)).collect();
        Self { expected, by_header, seen: Seen::new() }
    }

    /// These keys, but those that `is_revoked` names.
    pub(crate) fn without(&self, is_revoked: impl Fn(&Kid) -> bool) -> Self {
        let keys = self.by_header.values().filter(|key| !is_revoked(&key.kid())).copied();
        Self::new(self.expected.clone(), keys)
    }

    /// Whether these are the same keys.
    pub(crate) fn has_exactly(&self, keys: &[VerifyingKey]) -> bool {
        keys.len() == self.by_header.len() && keys.iter().all(|key| self.by_header.contains_key(&header(key.kid())))
    }

    /// Verifies signature and claims at the time `now`, in seconds since the Unix epoch.
    pub(crate) fn verify(&self, token: &str, now: u64) -> Offline {
        let verified = self.seen.get_or_verify(token, || self.verify_new(token, now));
        match verified {
            // The clock moves on, so this is checked each time.
            Ok(verified) if verified.exp.saturating_add(LEEWAY_SECONDS) <= now => Offline::Refused(Refusal::Expired),
            Ok(verified) => Offline::Accepted(verified),
            Err(refused) => refused,
        }
    }

    /// Verifies everything but `exp`.
    fn verify_new(&self, token: &str, now: u64) -> Result<VerifiedToken, Offline> {
        const INVALID: Offline = Offline::Refused(Refusal::Invalid);
        let (message, signature) = token.rsplit_once('.').ok_or(INVALID)?;
        let (header, payload) = message.split_once('.').ok_or(INVALID)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| INVALID)?;
        let key = match self.by_header.get(header) {
            Some(key) => key,
            None if kid(header).is_some() => return Err(Offline::UnknownKey),
            None => return Err(INVALID),
        };
        if !key.verify(message.as_bytes(), &signature) {
            return Err(INVALID);
        }
        let json = URL_SAFE_NO_PAD.decode(payload).map_err(|_| INVALID)?;
        let Payload { iss, aud, sub, sid, eid, jti, iat, exp, nbf } =
            serde_json::from_slice(&json).map_err(|_| INVALID)?;
        if iss != self.expected.issuer || aud != self.expected.audience || nbf > now.saturating_add(LEEWAY_SECONDS) {
            return Err(INVALID);
        }
        Ok(VerifiedToken { sub, sid, eid, jti, iat, exp })
    }
}

/// The header of an access token that this key has signed.
fn header(kid: Kid) -> String {
    URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"at+jwt","alg":"ES256","kid":"{kid}"}}"#))
}

/// The key that a header of the server names.
fn kid(encoded: &str) -> Option<Kid> {
    let text = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    let text = str::from_utf8(&text).ok()?;
    let kid = text.strip_prefix(r#"{"typ":"at+jwt","alg":"ES256","kid":""#)?.strip_suffix(r#""}"#)?;
    Kid::parse(kid)
}
