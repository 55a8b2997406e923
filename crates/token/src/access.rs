//! Access tokens: HS256 with the secret of the servers, or ES256 with a key whose public part everybody may read.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    claims::{Claims, TokenError},
    keys::{KeySet, Keys},
    kind::TokenKind,
    payload::{CLIENT_ID, Parties},
    seen::SeenTokens,
};

/// The algorithm that signs new access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// HMAC with SHA-256. Only the servers can verify the tokens.
    #[default]
    Hs256,
    /// ECDSA with P-256 and SHA-256. Everybody can verify the tokens.
    Es256,
}

/// No ES256 key may sign now: there is none yet, or the key set could not be read for [`crate::SIGNS_FOR`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSigningKey;

/// Issues access tokens with one algorithm, and verifies those of both, so that a change of the algorithm, server by
/// server, refuses no token. The header of a token decides which key verifies it, so a public key never serves as the
/// secret of HS256 (RFC 8725, section 3.1).
#[derive(Debug)]
pub struct AccessTokens {
    pub(crate) hs256: TokenKind,
    es256: Es256Verifier,
    algorithm: Algorithm,
}

impl AccessTokens {
    pub(crate) fn new(hs256: TokenKind) -> Self {
        let es256 = Es256Verifier::new(hs256.parties.clone(), Keys::default());
        Self { hs256, es256, algorithm: Algorithm::default() }
    }

    pub(crate) fn set_parties(&mut self, parties: Parties) {
        self.hs256.parties = parties.clone();
        self.es256.parties = parties;
    }

    pub(crate) fn set_keys(&mut self, algorithm: Algorithm, keys: Keys) {
        self.algorithm = algorithm;
        self.es256.keys = keys;
    }

    /// The algorithm that signs new access tokens.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The ES256 keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.es256.keys
    }

    /// The issuer and the audience.
    #[must_use]
    pub fn parties(&self) -> &Parties {
        &self.es256.parties
    }

    /// Whether [`AccessTokens::issue`] succeeds now. A use case asks before it changes anything.
    #[must_use]
    pub fn can_issue(&self) -> bool {
        self.algorithm == Algorithm::Hs256 || self.es256.keys.can_sign()
    }

    /// Signs `claims`. Returns the token as text in the JWS Compact Serialization (RFC 7515, section 7.1).
    ///
    /// # Errors
    /// [`NoSigningKey`], only with [`Algorithm::Es256`].
    pub fn issue(&self, claims: &Claims) -> Result<String, NoSigningKey> {
        match self.algorithm {
            Algorithm::Hs256 => Ok(self.hs256.issue(claims)),
            Algorithm::Es256 => self.es256.issue(claims),
        }
    }

    /// Verifies header, signature and claims at the time `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// Every [`TokenError`]. [`TokenError::Expired`] means that everything else is valid, but `exp` is
    /// [`crate::LEEWAY_SECONDS`] or more in the past.
    pub fn verify(&self, token: &str, now: u64, seen: &SeenTokens) -> Result<Claims, TokenError> {
        let claims = self.verify_expired(token, now, seen)?;
        claims.check_expiry(now)?;
        Ok(claims)
    }

    /// Verifies like [`AccessTokens::verify`], but accepts a token that has expired, no matter how long ago.
    ///
    /// # Errors
    /// Every [`TokenError`] except [`TokenError::Expired`].
    pub fn verify_expired(&self, token: &str, now: u64, seen: &SeenTokens) -> Result<Claims, TokenError> {
        match self.hs256.verify_expired(token, now) {
            Err(TokenError::UnknownHeader) => self.es256.verify_expired(token, now, seen),
            verified => verified,
        }
    }
}

/// Verifies ES256 access tokens with public keys alone, on a server of this service and elsewhere. The caller sees to it
/// that the [`Keys`] are those that the issuer publishes.
pub struct Es256Verifier {
    parties: Parties,
    keys: Keys,
}

impl Es256Verifier {
    /// A verifier of the tokens of one issuer for one audience.
    #[must_use]
    pub fn new(parties: Parties, keys: Keys) -> Self {
        Self { parties, keys }
    }

    /// Verifies header, signature and claims at the time `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// Every [`TokenError`]. After [`TokenError::UnknownKey`], the issuer may publish the key by now.
    pub fn verify(&self, token: &str, now: u64, seen: &SeenTokens) -> Result<Claims, TokenError> {
        let claims = self.verify_expired(token, now, seen)?;
        claims.check_expiry(now)?;
        Ok(claims)
    }

    fn verify_expired(&self, token: &str, now: u64, seen: &SeenTokens) -> Result<Claims, TokenError> {
        // The number is older than the keys, never newer. So no result of former keys stays under a new number.
        let generation = self.keys.generation();
        seen.find_or(token, generation, || self.verify_with(&self.keys.current(), token, now))
    }

    fn verify_with(&self, keys: &KeySet, token: &str, now: u64) -> Result<Claims, TokenError> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenError::Malformed)?;
        let key = keys.key_of(header)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
        if !key.verify(message.as_bytes(), &signature) {
            return Err(TokenError::BadSignature);
        }
        let json = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenError::Malformed)?;
        self.parties.decode(&json, now)
    }

    fn issue(&self, claims: &Claims) -> Result<String, NoSigningKey> {
        let signer = self.keys.signer().ok_or(NoSigningKey)?;
        let json = self.parties.encode(claims, Some(CLIENT_ID));
        let mut token = signer.header;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(json, &mut token);
        let signature = signer.key.sign(token.as_bytes()).map_err(|_| NoSigningKey)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

impl fmt::Debug for Es256Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Es256Verifier").field("parties", &self.parties).field("keys", &self.keys).finish()
    }
}

impl fmt::Display for NoSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no ES256 key may sign now")
    }
}

impl std::error::Error for NoSigningKey {}
