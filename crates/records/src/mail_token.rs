//! Tokens in mails. Each confirms one step of one account, once.

use std::fmt;

use auth_service_token::Id;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use crate::secret::Secret;

/// The tag of an account, and 256 random bits in base64url.
const REST_LEN: usize = TAG_LEN + 43;
const TAG_LEN: usize = 22;

/// What a token in a mail confirms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTokenKind {
    /// The new password of an account whose owner has forgotten the old one.
    PasswordReset,
    /// That the owner of an account reads the mails to its address.
    EmailVerification,
    /// The new address of an account.
    EmailChange,
}

impl MailTokenKind {
    const ALL: [Self; 3] = [Self::PasswordReset, Self::EmailVerification, Self::EmailChange];

    /// The start of a token. A page recognises the purpose of a link by it.
    fn name(self) -> &'static str {
        match self {
            Self::PasswordReset => "reset",
            Self::EmailVerification => "verify",
            Self::EmailChange => "change",
        }
    }
}

/// A token as a mail has it: `<kind>_<tag><secret>`, with the tag of the account, and 32 random bytes as 43 base64url
/// characters.
///
/// The tag names the account, so that the store finds everything about the token in the slot of the account. The store
/// has only the digest of the token, so nobody who reads the store can use a link.
pub struct MailToken {
    kind: MailTokenKind,
    tag: Id,
    text: Secret,
}

impl MailToken {
    /// A new token for the account `tag`: 256 bits from the operating system's generator.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn random(kind: MailTokenKind, tag: Id) -> Result<Self, getrandom::Error> {
        let text = format!("{}_{tag}{}", kind.name(), Secret::generate()?.expose());
        Ok(Self { kind, tag, text: Secret::new(text) })
    }

    /// Parses the text of a token. `None` for any other text. Only the store knows whether the token is genuine.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('_')?;
        let kind = MailTokenKind::ALL.into_iter().find(|kind| kind.name() == name)?;
        let in_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if rest.len() != REST_LEN || !rest.bytes().all(in_alphabet) {
            return None;
        }
        let tag = Id::parse(rest.get(..TAG_LEN)?)?;
        Some(Self { kind, tag, text: Secret::new(text.to_owned()) })
    }

    /// What the token confirms.
    #[must_use]
    pub fn kind(&self) -> MailTokenKind {
        self.kind
    }

    /// The tag of the account.
    #[must_use]
    pub fn tag(&self) -> Id {
        self.tag
    }

    /// The token itself. It belongs in a mail, and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// The SHA-256 of the whole token, in base64url. A search for a token with this digest is hopeless, because the
    /// token has 256 random bits (OWASP ASVS 5.0, clause 11.4.1).
    #[must_use]
    pub fn digest(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.text.expose().as_bytes()))
    }

    /// Whether `digest` is that of this token. The time of the comparison does not depend on the content.
    #[must_use]
    pub fn has_digest(&self, digest: &str) -> bool {
        self.digest().as_bytes().ct_eq(digest.as_bytes()).into()
    }
}

/// Shows only the kind.
impl fmt::Debug for MailToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailToken").field("kind", &self.kind).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_its_kind_and_its_account() {
        let tag = Id::random().unwrap();
        for kind in MailTokenKind::ALL {
            let token = MailToken::random(kind, tag).unwrap();
            let parsed = MailToken::parse(token.expose()).unwrap();
            assert_eq!((parsed.kind(), parsed.tag()), (kind, tag));
            assert!(parsed.has_digest(&token.digest()));
            assert!(!MailToken::random(kind, tag).unwrap().has_digest(&token.digest()));
            assert!(!format!("{token:?}").contains(&token.expose()[7..]));
        }
    }

    #[test]
    fn no_other_text_parses() {
        let token = MailToken::random(MailTokenKind::EmailChange, Id::random().unwrap()).unwrap();
        let (_, rest) = token.expose().split_once('_').unwrap();
        for bad in [
            String::new(),
            "change_".to_owned(),
            rest.to_owned(),
            format!("_{rest}"),
            format!("change{rest}"),
            format!("CHANGE_{rest}"),
            format!("totp_{rest}"),
            format!(" change_{rest}"),
            format!("change_{rest} "),
            format!("change_{rest}="),
            format!("change_{}", &rest[1..]),
            format!("change_{}+", &rest[1..]),
            format!("change_{}é", &rest[2..]),
            format!("change_é{}", &rest[2..]),
            "a".repeat(10_000),
        ] {
            assert!(MailToken::parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_token_of_one_kind_is_no_token_of_another_kind() {
        let reset = MailToken::random(MailTokenKind::PasswordReset, Id::random().unwrap()).unwrap();
        let verify = MailToken::parse(&reset.expose().replace("reset_", "verify_")).unwrap();
        assert!(!verify.has_digest(&reset.digest()));
    }
}
