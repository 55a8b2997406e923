//! Access and refresh tokens: JWTs (RFC 7519) signed with HS256, checked by RFC 8725's rules.
//!
//! Both kinds have one fixed header, compared as text before anything is parsed: another `alg`, a `crit`, a `kid`,
//! `jku` or `jwk`, or another kind's `typ` can then not even be expressed. They also have different keys.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey,
    crypto::{self, CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::ErrorKind,
    signature::{self, Signer, Verifier},
};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

use crate::{clock::LEEWAY_SECONDS, error::Error, id::Id};

/// The `iss` and the `aud` of every token: this service mints tokens for itself to check.
const SERVICE: &str = "auth-service";

const USUAL_PAYLOAD_BYTES: usize = 320;

/// What a token says, once its signature and its claims hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// The user's id.
    pub sub: Uuid,
    /// The user's tag, which finds the user's keys without a look-up.
    pub tag: Id,
    /// The session that the token belongs to.
    pub sid: Id,
    /// Makes each token unlike any other.
    pub jti: Id,
    /// When the token was issued, in seconds since the Unix epoch.
    pub iat: u64,
    /// When the token ends, in seconds since the Unix epoch.
    pub exp: u64,
}

impl Claims {
    /// Against the time `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`Error::TokenExpired`] when `exp` is [`LEEWAY_SECONDS`] or more in the past.
    pub fn check_expiry(&self, now: u64) -> Result<(), Error> {
        if self.exp.saturating_add(LEEWAY_SECONDS) <= now { Err(Error::TokenExpired) } else { Ok(()) }
    }
}

#[derive(Serialize, Deserialize)]
struct Payload<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: Uuid,
    tag: Id,
    sid: Id,
    jti: Id,
    iat: u64,
    exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
}

/// Issues and verifies one kind of token.
pub struct TokenKind {
    /// The encoded header with its dot: every token of this kind starts with it.
    prefix: String,
    signing_key: EncodingKey,
    verifying_key: DecodingKey,
}

/// Both kinds, each with its own key.
pub struct Tokens {
    /// `at+jwt` (RFC 9068).
    pub access: TokenKind,
    /// `rt+jwt`.
    pub refresh: TokenKind,
}

impl Tokens {
    /// Builds the keys once, for the life of the process.
    #[must_use]
    pub fn new(access_secret: &[u8], refresh_secret: &[u8]) -> Self {
        // An error only says that a provider is installed already, and the only one there is is ours.
        let _ = HS256.install_default();
        Self { access: TokenKind::new("at+jwt", access_secret), refresh: TokenKind::new("rt+jwt", refresh_secret) }
    }
}

impl TokenKind {
    fn new(typ: &str, secret: &[u8]) -> Self {
        let header = format!(r#"{{"typ":"{typ}","alg":"HS256"}}"#);
        Self {
            prefix: URL_SAFE_NO_PAD.encode(header) + ".",
            signing_key: EncodingKey::from_secret(secret),
            verifying_key: DecodingKey::from_secret(secret),
        }
    }

    /// Signs `claims`.
    ///
    /// # Errors
    /// [`Error::Internal`] if the library cannot sign, which a HMAC key never causes.
    pub fn issue(&self, claims: &Claims) -> Result<String, Error> {
        let Claims { sub, tag, sid, jti, iat, exp } = *claims;
        let payload = Payload { iss: SERVICE, aud: SERVICE, sub, tag, sid, jti, iat, exp, nbf: None };
        let internal = |why: &dyn std::fmt::Display| Error::Internal(format!("cannot sign a token: {why}"));
        let mut json = Vec::with_capacity(USUAL_PAYLOAD_BYTES);
        serde_json::to_writer(&mut json, &payload).map_err(|e| internal(&e))?;
        let mut token = String::with_capacity(self.prefix.len() + json.len() * 4 / 3 + 48);
        token.push_str(&self.prefix);
        URL_SAFE_NO_PAD.encode_string(json, &mut token);
        let signature =
            crypto::sign(token.as_bytes(), &self.signing_key, Algorithm::HS256).map_err(|e| internal(&e))?;
        token.push('.');
        token.push_str(&signature);
        Ok(token)
    }

    /// Checks header, signature and claims against the time `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`Error::TokenExpired`] when all holds but `exp` is [`LEEWAY_SECONDS`] or more in the past, else
    /// [`Error::TokenInvalid`], which never says what was wrong.
    pub fn verify(&self, token: &str, now: u64) -> Result<Claims, Error> {
        let claims = self.verify_expired(token, now)?;
        claims.check_expiry(now)?;
        Ok(claims)
    }

    /// As [`TokenKind::verify`], but a token may have expired, however long ago.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`].
    pub fn verify_expired(&self, token: &str, now: u64) -> Result<Claims, Error> {
        self.verified_payload(token, now).ok_or(Error::TokenInvalid)
    }

    fn verified_payload(&self, token: &str, now: u64) -> Option<Claims> {
        let (message, signature) = token.rsplit_once('.')?;
        let encoded = message.strip_prefix(&self.prefix)?;
        let signed = crypto::verify(signature, message.as_bytes(), &self.verifying_key, Algorithm::HS256);
        if !matches!(signed, Ok(true)) {
            return None;
        }
        let json = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        // serde would read an array of the claims in our order just as well.
        if json.first() != Some(&b'{') {
            return None;
        }
        let payload: Payload<'_> = serde_json::from_slice(&json).ok()?;
        let Payload { iss, aud, sub, tag, sid, jti, iat, exp, nbf } = payload;
        let soon = now.saturating_add(LEEWAY_SECONDS);
        let holds = iss == SERVICE && aud == SERVICE && iat <= soon && nbf.unwrap_or(0) <= soon;
        holds.then_some(Claims { sub, tag, sid, jti, iat, exp })
    }
}

/// The one algorithm that `jsonwebtoken` is given: HMAC with SHA-256 (RFC 7518, section 3.2).
static HS256: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Hs256::new(*algorithm, key.as_bytes())?)),
    verifier_factory: |algorithm, key| Ok(Box::new(Hs256::new(*algorithm, key.try_get_as_bytes()?)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(Hmac<Sha256>);

impl Hs256 {
    fn new(algorithm: Algorithm, key: &[u8]) -> jsonwebtoken::errors::Result<Self> {
        if algorithm != Algorithm::HS256 {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        Ok(Self(Hmac::new_from_slice(key).map_err(|_| ErrorKind::InvalidKeyFormat)?))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.0.clone().chain_update(message).finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.0.clone().chain_update(message).verify_slice(signature).map_err(signature::Error::from_source)
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn tokens() -> Tokens {
        Tokens::new(&[1; 32], &[2; 32])
    }

    fn claims() -> Claims {
        let id = || Id::random().unwrap();
        Claims { sub: Uuid::new_v4(), tag: id(), sid: id(), jti: id(), iat: NOW, exp: NOW + 60 }
    }

    #[test]
    fn an_issued_token_verifies_until_exp_plus_leeway() {
        let (tokens, claims) = (tokens(), claims());
        let token = tokens.access.issue(&claims).unwrap();
        assert_eq!(tokens.access.verify(&token, NOW).unwrap(), claims);
        assert_eq!(tokens.access.verify(&token, NOW + 64).unwrap(), claims);
        assert!(matches!(tokens.access.verify(&token, NOW + 65), Err(Error::TokenExpired)));
        assert!(matches!(tokens.access.verify(&token, NOW - 6), Err(Error::TokenInvalid)));
    }

    #[test]
    fn the_signature_is_the_one_of_rfc_7515_appendix_a_1() {
        let key = URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let message = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6\
                       Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = Hs256::new(Algorithm::HS256, &key).unwrap().try_sign(message.as_bytes()).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(signature), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    #[test]
    fn one_kind_is_never_the_other() {
        let tokens = tokens();
        let (access, refresh) = (tokens.access.issue(&claims()).unwrap(), tokens.refresh.issue(&claims()).unwrap());
        assert!(matches!(tokens.refresh.verify(&access, NOW), Err(Error::TokenInvalid)));
        assert!(matches!(tokens.access.verify(&refresh, NOW), Err(Error::TokenInvalid)));
    }
}
