//! One kind of token signed with HS256. Each kind has its own header and its own key.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac::{self, HMAC_SHA256, Key};

use crate::{
    check::{KindCheck, check_value},
    claims::{Claims, TokenError},
    payload::Parties,
};

/// Issues and verifies one kind of token.
///
/// Every token of a kind has the same header. The verification compares the header as text before it parses anything.
/// So it refuses another `alg`, the `typ` of the other kind, and every `crit`, `kid`, `jku` and `jwk` (RFC 8725,
/// sections 3.1 and 3.11).
pub struct TokenKind {
    /// The header in base64url, and the dot after it.
    prefix: String,
    /// The prefix of the other kind.
    other_prefix: String,
    pub(crate) parties: Parties,
    client_id: Option<&'static str>,
    /// HMAC with SHA-256 (RFC 7518, section 3.2).
    key: Key,
    /// Verifies and never signs.
    pub(crate) verify_only: Option<Key>,
}

impl TokenKind {
    pub(crate) fn new(typ: &str, other_typ: &str, secret: &[u8], client_id: Option<&'static str>) -> Self {
        let prefix = |typ: &str| URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"{typ}","alg":"HS256"}}"#)) + ".";
        let (prefix, other_prefix) = (prefix(typ), prefix(other_typ));
        Self { prefix, other_prefix, parties: Parties::default(), client_id, key: key(secret), verify_only: None }
    }

    pub(crate) fn check_values(&self) -> KindCheck {
        KindCheck { signs: check_value(&self.key), verifies: self.verify_only.as_ref().map(check_value) }
    }

    /// Signs `claims`. Returns the token as text in the JWS Compact Serialization (RFC 7515, section 7.1).
    #[must_use]
    pub fn issue(&self, claims: &Claims) -> String {
        let json = self.parties.encode(claims, self.client_id);
        let mut token = String::with_capacity(self.prefix.len() + json.len() * 4 / 3 + 48);
        token.push_str(&self.prefix);
        URL_SAFE_NO_PAD.encode_string(json, &mut token);
        let signature = hmac::sign(&self.key, token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }

    /// Verifies header, signature and claims at the time `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// Every [`TokenError`]. [`TokenError::Expired`] means that everything else is valid, but `exp` is
    /// [`LEEWAY_SECONDS`](crate::LEEWAY_SECONDS) or more in the past.
    pub fn verify(&self, token: &str, now: u64) -> Result<Claims, TokenError> {
        let claims = self.verify_expired(token, now)?;
        claims.check_expiry(now)?;
        Ok(claims)
    }

    /// Verifies like [`TokenKind::verify`], but accepts a token that has expired, no matter how long ago. A future
    /// `iat` is no reason to refuse a token (RFC 7519, section 4.1.6).
    ///
    /// # Errors
    /// Every [`TokenError`] except [`TokenError::Expired`].
    pub fn verify_expired(&self, token: &str, now: u64) -> Result<Claims, TokenError> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let encoded = message.strip_prefix(&self.prefix).ok_or_else(|| self.other_header(message))?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
        self.verify_signature(message.as_bytes(), &signature)?;
        let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TokenError::Malformed)?;
        self.parties.decode(&json, now)
    }

    /// `hmac::verify` compares in constant time. The time tells which of the keys fits, which is no secret.
    fn verify_signature(&self, message: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        let fits = |key| hmac::verify(key, message, signature).is_ok();
        if fits(&self.key) || self.verify_only.as_ref().is_some_and(fits) {
            return Ok(());
        }
        Err(TokenError::BadSignature)
    }

    /// The error of a token without its signature, which does not begin with the header of this kind.
    fn other_header(&self, message: &str) -> TokenError {
        match message.split_once('.') {
            Some(_) if message.starts_with(&self.other_prefix) => TokenError::WrongKind,
            Some((header, payload)) if !header.is_empty() && !payload.contains('.') => TokenError::UnknownHeader,
            _ => TokenError::Malformed,
        }
    }
}

pub(crate) fn key(secret: &[u8]) -> Key {
    Key::new(HMAC_SHA256, secret)
}

/// Never shows the key.
impl fmt::Debug for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKind(..)")
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{amr::Amr, id::Id, tokens::Tokens};

    const NOW: u64 = 1_800_000_000;

    fn tokens() -> Tokens {
        Tokens::new(&[1; 32], &[2; 32])
    }

    fn claims() -> Claims {
        let id = || Id::random().unwrap();
        Claims {
            sid: id(),
            eid: Some(id()),
            jti: id(),
            iat: NOW,
            exp: NOW + 60,
            amr: Amr::PASSWORD,
            auth_time: Some(NOW),
            ..Claims::of(Uuid::new_v4(), id())
        }
    }

    #[test]
    fn an_issued_token_is_valid_until_exp_plus_leeway() {
        let (tokens, claims) = (tokens(), claims());
        let token = tokens.access.hs256.issue(&claims);
        assert_eq!(tokens.access.hs256.verify(&token, NOW), Ok(claims));
        assert_eq!(tokens.access.hs256.verify(&token, NOW + 64), Ok(claims));
        assert_eq!(tokens.access.hs256.verify(&token, NOW + 65), Err(TokenError::Expired));
    }

    #[test]
    fn a_token_from_the_future_is_valid() {
        let (tokens, claims) = (tokens(), claims());
        assert_eq!(tokens.access.hs256.verify(&tokens.access.hs256.issue(&claims), NOW - 600), Ok(claims));
    }

    #[test]
    fn the_signature_is_the_one_of_rfc_7515_appendix_a_1() {
        let key = URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let message = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA\
                       6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = hmac::sign(&Key::new(HMAC_SHA256, &key), message.as_bytes());
        assert_eq!(URL_SAFE_NO_PAD.encode(signature), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    #[test]
    fn one_kind_is_never_the_other() {
        let tokens = tokens();
        let (access, refresh) = (tokens.access.hs256.issue(&claims()), tokens.refresh.issue(&claims()));
        assert_eq!(tokens.refresh.verify(&access, NOW), Err(TokenError::WrongKind));
        assert_eq!(tokens.access.hs256.verify(&refresh, NOW), Err(TokenError::WrongKind));
    }

    #[test]
    fn another_header_is_told_from_a_text_that_is_no_token() {
        let tokens = tokens();
        let token = tokens.access.hs256.issue(&claims());
        let (_, rest) = token.split_once('.').unwrap();
        let with_kid = URL_SAFE_NO_PAD.encode(r#"{"typ":"at+jwt","alg":"HS256","kid":"1"}"#);
        assert_eq!(tokens.access.hs256.verify(&format!("{with_kid}.{rest}"), NOW), Err(TokenError::UnknownHeader));
        for text in ["", ".", "..", "a.b", ".b.c", "a.b.c.d", &format!("{token}.x")] {
            assert_eq!(tokens.access.hs256.verify(text, NOW), Err(TokenError::Malformed), "{text}");
        }
    }

    #[test]
    fn a_secret_that_only_verifies_never_signs() {
        let (old, new, claims) = (tokens(), Tokens::new(&[3; 32], &[4; 32]), claims());
        let both = Tokens::new(&[3; 32], &[4; 32]).with_verify_only(Some(&[1; 32]), Some(&[2; 32]));
        for (both, old, new) in
            [(&both.access.hs256, &old.access.hs256, &new.access.hs256), (&both.refresh, &old.refresh, &new.refresh)]
        {
            assert_eq!(new.verify(&old.issue(&claims), NOW), Err(TokenError::BadSignature));
            assert_eq!(both.verify(&old.issue(&claims), NOW), Ok(claims));
            assert_eq!(both.issue(&claims), new.issue(&claims));
        }
    }

    #[test]
    fn another_secret_is_told_from_a_malformed_token() {
        let token = Tokens::new(&[3; 32], &[4; 32]).access.hs256.issue(&claims());
        assert_eq!(tokens().access.hs256.verify(&token, NOW), Err(TokenError::BadSignature));
    }
}
