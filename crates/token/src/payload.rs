//! The payload of a token: its claims as JSON, with the issuer and the audience.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    amr::Amr,
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
    /// Owned if JSON escapes a character, as it does in `urn:"example"`.
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    aud: Cow<'a, str>,
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
    #[serde(default, skip_serializing_if = "Amr::is_empty")]
    amr: Amr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth_time: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
}

impl Parties {
    /// The claims as JSON.
    pub(crate) fn encode(&self, claims: &Claims, client_id: Option<&str>) -> Vec<u8> {
        let Claims { sub, tag, sid, eid, jti, iat, exp, amr, auth_time } = *claims;
        let (iss, aud) = (Cow::from(&self.issuer), Cow::from(&self.audience));
        let payload = Payload { iss, aud, sub, client_id, tag, sid, eid, jti, iat, exp, amr, auth_time, nbf: None };
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
        let Payload { iss, aud, sub, client_id: _, tag, sid, eid, jti, iat, exp, amr, auth_time, nbf } = payload;
        if iss != self.issuer {
            return Err(TokenError::WrongIssuer);
        }
        if aud != self.audience {
            return Err(TokenError::WrongAudience);
        }
        if nbf.unwrap_or(0) > now.saturating_add(LEEWAY_SECONDS) {
            return Err(TokenError::NotYetValid);
        }
        Ok(Claims { sub, tag, sid, eid, jti, iat, exp, amr, auth_time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_with_characters_that_json_escapes_are_read_back_and_compared_exactly() {
        let id = Id::digest(b"id");
        let claims = Claims { eid: Some(id), ..Claims::of(Uuid::nil(), id) };
        let ours = Parties { issuer: "a\\b".to_owned(), audience: "urn:\"example\"".to_owned() };
        let json = ours.encode(&claims, Some(CLIENT_ID));
        assert_eq!(ours.decode(&json, 0), Ok(claims));
        let other = Parties { issuer: "a\\\\b".to_owned(), ..ours.clone() };
        assert_eq!(other.decode(&json, 0), Err(TokenError::WrongIssuer));
        let other = Parties { audience: "urn:example".to_owned(), ..ours };
        assert_eq!(other.decode(&json, 0), Err(TokenError::WrongAudience));
    }
}
