//! The token between the two steps of a sign-in with a second factor.

use std::fmt;

use uuid::Uuid;

use crate::{
    claims::{Claims, TokenError},
    id::Id,
    kind::TokenKind,
};

/// What an mfa token says: its bearer knew the password of this account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MfaClaims {
    /// The user's id.
    pub sub: Uuid,
    /// The user's tag, which names the user's keys in the store.
    pub tag: Id,
    /// A digest of the password's hash and of the second factor. A change of either ends the token.
    pub factors: Id,
    /// The id of the token, which makes each token unique.
    pub jti: Id,
    /// When the token was issued, in seconds since the Unix epoch.
    pub iat: u64,
    /// When the token expires, in seconds since the Unix epoch.
    pub exp: u64,
}

/// Issues and verifies mfa tokens. They open nothing without a code of the second factor. They have a header and a key
/// of their own, so no other token passes for one, nor the reverse (RFC 8725, section 3.11).
pub struct MfaTokens(pub(crate) TokenKind);

impl MfaTokens {
    /// Signs `claims`. Returns the token as text in the JWS Compact Serialization (RFC 7515, section 7.1).
    #[must_use]
    pub fn issue(&self, claims: &MfaClaims) -> String {
        let MfaClaims { sub, tag, factors, jti, iat, exp } = *claims;
        // There is no session yet, so the claim of the session carries the digest.
        self.0.issue(&Claims { sid: factors, jti, iat, exp, ..Claims::of(sub, tag) })
    }

    /// Verifies header, signature and claims at the time `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// Every [`TokenError`].
    pub fn verify(&self, token: &str, now: u64) -> Result<MfaClaims, TokenError> {
        let Claims { sub, tag, sid, jti, iat, exp, .. } = self.0.verify(token, now)?;
        Ok(MfaClaims { sub, tag, factors: sid, jti, iat, exp })
    }
}

/// Never shows the key.
impl fmt::Debug for MfaTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MfaTokens(..)")
    }
}

#[cfg(test)]
mod tests {
    use crate::{seen::SeenTokens, tokens::Tokens};

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn claims() -> MfaClaims {
        let id = || Id::random().unwrap();
        MfaClaims { sub: Uuid::new_v4(), tag: id(), factors: id(), jti: id(), iat: NOW, exp: NOW + 300 }
    }

    #[test]
    fn an_mfa_token_is_no_other_token_even_if_all_secrets_are_equal() {
        let tokens = Tokens::new(&[1; 32], &[1; 32]);
        let (claims, seen) = (claims(), SeenTokens::default());
        let token = tokens.mfa.issue(&claims);
        assert_eq!(tokens.mfa.verify(&token, NOW), Ok(claims));
        assert!(tokens.access.verify(&token, NOW, &seen).is_err());
        assert!(tokens.refresh.verify(&token, NOW).is_err());
        let session = Claims { exp: NOW + 60, ..Claims::of(claims.sub, claims.tag) };
        for other in [tokens.access.issue(&session).unwrap(), tokens.refresh.issue(&session)] {
            assert!(tokens.mfa.verify(&other, NOW).is_err());
            // The signature of another kind does not fit either.
            let (header, _) = token.split_once('.').unwrap();
            let (_, rest) = other.split_once('.').unwrap();
            assert_eq!(tokens.mfa.verify(&format!("{header}.{rest}"), NOW), Err(TokenError::BadSignature));
        }
    }

    #[test]
    fn an_mfa_token_expires_and_survives_a_replacement_of_the_secret() {
        let claims = claims();
        let token = Tokens::new(&[1; 32], &[2; 32]).mfa.issue(&claims);
        let replaced = Tokens::new(&[3; 32], &[4; 32]);
        assert_eq!(replaced.mfa.verify(&token, NOW), Err(TokenError::BadSignature));
        let replaced = replaced.with_verify_only(Some(&[1; 32]), Some(&[2; 32]));
        assert_eq!(replaced.mfa.verify(&token, NOW + 304), Ok(claims));
        assert_eq!(replaced.mfa.verify(&token, NOW + 305), Err(TokenError::Expired));
    }
}
