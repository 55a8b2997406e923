//! The payload of a token: its claims as JSON, with the issuer and the audience.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    claims::{Claims, LEEWAY_SECONDS, TokenError},
    id::Id,
};

/// The `client_id` of every access token (RFC 9068, section 2.2). The users sign in to this service itself, so there is
/// one client.
pub const CLIENT_ID: &str = "auth-service";

/// The issuer and the audience, unless the settings name others.
pub const SERVICE: &str = "auth-service";

/// Enough for most payloads, so that the buffer rarely grows.
const USUAL_PAYLOAD_BYTES: usize = 384;

/// The `iss` and the `aud` of a kind of token. Both are compared exactly (RFC 8725, sections 3.8 and 3.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// Who issues the tokens.
    pub issuer: String,
    /// For whom the tokens are.
    pub audience: String,
}

impl Default for Parties {
    fn default() -> Self {
        Self { issuer: SERVICE.to_owned(), audience: SERVICE.to_owned() }
    }
}

#[derive(Serialize, Deserialize)]
struct Payload<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    client_id: Option<&'a str>,
    tag: Id,
    sid: Id,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eid: Option<Id>,
    jti: Id,
    iat: u64,
    exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
}

impl Parties {
    /// The claims as JSON.
    pub(crate) fn encode(&self, claims: &Claims, client_id: Option<&str>) -> Vec<u8> {
        let Claims { sub, tag, sid, eid, jti, iat, exp } = *claims;
        let (iss, aud) = (self.issuer.as_str(), self.audience.as_str());
        let payload = Payload { iss, aud, sub, client_id, tag, sid, eid, jti, iat, exp, nbf: None };
        let mut json = Vec::with_capacity(USUAL_PAYLOAD_BYTES);
        // A struct of text and numbers always serializes.
        let written = serde_json::to_writer(&mut json, &payload);
        debug_assert!(written.is_ok());
        json
    }

    /// The claims of a payload whose signature is genuine. Does not compare `exp` with the time.
    pub(crate) fn decode(&self, json: &[u8], now: u64) -> Result<Claims, TokenError> {
        // serde would also accept an array of the claims in the order of the struct.
        if json.first() != Some(&b'{') {
            return Err(TokenError::Malformed);
        }
        let payload: Payload<'_> = serde_json::from_slice(json).map_err(|_| TokenError::Malformed)?;
        let Payload { iss, aud, sub, client_id: _, tag, sid, eid, jti, iat, exp, nbf } = payload;
        if iss != self.issuer {
            return Err(TokenError::WrongIssuer);
        }
        if aud != self.audience {
            return Err(TokenError::WrongAudience);
        }
        if nbf.unwrap_or(0) > now.saturating_add(LEEWAY_SECONDS) {
            return Err(TokenError::NotYetValid);
        }
        Ok(Claims { sub, tag, sid, eid, jti, iat, exp })
    }
}
