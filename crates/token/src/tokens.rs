//! The three kinds of token: access tokens, refresh tokens, and the mfa tokens between the two steps of a sign-in.

use crate::{
    access::{AccessTokens, Algorithm},
    check::SecretsCheck,
    keys::Keys,
    kind::{TokenKind, key},
    mfa::MfaTokens,
    payload::{CLIENT_ID, Parties},
    seal::derive,
};

/// The `typ` of access tokens (RFC 9068, section 2.1).
const ACCESS: &str = "at+jwt";
/// The `typ` of refresh tokens.
const REFRESH: &str = "rt+jwt";
/// The `typ` of mfa tokens.
const MFA: &str = "mfa+jwt";

/// All kinds, each with its own key.
pub struct Tokens {
    /// Access tokens.
    pub access: AccessTokens,
    /// Refresh tokens.
    pub refresh: TokenKind,
    /// Mfa tokens. Their key comes from the secret of access tokens.
    pub mfa: MfaTokens,
}

impl Tokens {
    /// Makes the keys from the two secrets. The caller ensures that each secret has at least 32 bytes (RFC 7518,
    /// section 3.2).
    #[must_use]
    pub fn new(access_secret: &[u8], refresh_secret: &[u8]) -> Self {
        let access = TokenKind::new(ACCESS, REFRESH, access_secret, Some(CLIENT_ID));
        let refresh = TokenKind::new(REFRESH, ACCESS, refresh_secret, None);
        let mfa = MfaTokens(TokenKind::new(MFA, ACCESS, &mfa_secret(access_secret), None));
        Self { access: AccessTokens::new(access), refresh, mfa }
    }

    /// Sets `iss` and `aud` of access tokens. Only this service reads the other tokens, so their audience is the issuer,
    /// and a change of the audience signs nobody out.
    #[must_use]
    pub fn with_parties(mut self, parties: Parties) -> Self {
        let issuer = parties.issuer.clone();
        self.refresh.parties = Parties { audience: issuer.clone(), issuer };
        self.mfa.0.parties = self.refresh.parties.clone();
        self.access.set_parties(parties);
        self
    }

    /// Signs new access tokens with `algorithm`. Whatever the algorithm, the `keys` verify ES256 tokens.
    #[must_use]
    pub fn with_keys(mut self, algorithm: Algorithm, keys: Keys) -> Self {
        self.access.set_keys(algorithm, keys);
        self
    }

    /// Adds secrets that verify and never sign: the next ones before a replacement, and the previous ones after it.
    #[must_use]
    pub fn with_verify_only(mut self, access_secret: Option<&[u8]>, refresh_secret: Option<&[u8]>) -> Self {
        self.access.hs256.verify_only = access_secret.map(key);
        self.refresh.verify_only = refresh_secret.map(key);
        self.mfa.0.verify_only = access_secret.map(|secret| key(&mfa_secret(secret)));
        self
    }

    /// The check values of all secrets.
    #[must_use]
    pub fn check_values(&self) -> SecretsCheck {
        SecretsCheck { access: self.access.hs256.check_values(), refresh: self.refresh.check_values() }
    }
}

/// The secret of mfa tokens.
fn mfa_secret(access_secret: &[u8]) -> [u8; 32] {
    derive(access_secret, b"auth-service: mfa tokens")
}
