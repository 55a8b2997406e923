//! Emails and user records.

use std::{borrow::Cow, fmt};

use auth_service_token::Id;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::throttle::KnownAddresses;

/// RFC 5321, section 4.5.3.1.3, without the angle brackets.
const EMAIL_MAX_BYTES: usize = 254;
/// RFC 5321, section 4.5.3.1.1.
const LOCAL_PART_MAX_BYTES: usize = 64;
/// RFC 1035, section 2.3.4.
const LABEL_MAX_BYTES: usize = 63;

/// An address that is valid by the rule of HTML5 for `<input type=email>`.
///
/// The local part is ASCII, so Unicode case or width folding never merges two addresses. An international domain equals
/// its `xn--` form (UTS 46).
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    spelling: String,
    tag: Id,
}

impl Email {
    /// Parses an address. Strips ASCII white space from both ends, as HTML5 does. `None` if the rest is not a valid
    /// address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let spelling = text.trim_matches(|c: char| c.is_ascii_whitespace());
        if spelling.len() > EMAIL_MAX_BYTES {
            return None;
        }
        let (local, domain) = spelling.rsplit_once('@')?;
        if !(1..=LOCAL_PART_MAX_BYTES).contains(&local.len()) || !local.bytes().all(is_local_byte) {
            return None;
        }
        let canonical = format!("{local}@{}", ascii_domain(domain)?).to_ascii_lowercase();
        (canonical.len() <= EMAIL_MAX_BYTES)
            .then(|| Self { spelling: spelling.to_owned(), tag: Id::digest(canonical.as_bytes()) })
    }

    /// A valid address, such as [`Profile::email`], with the domain in the ASCII form of DNS. The spelling of the rest stays.
    /// `None` if the domain is not valid.
    #[must_use]
    pub fn ascii_form(email: &str) -> Option<Cow<'_, str>> {
        if email.is_ascii() {
            return Some(email.into());
        }
        let (local, domain) = email.rsplit_once('@')?;
        Some(format!("{local}@{}", ascii_domain(domain)?).into())
    }

    /// The address as the user wrote it, without the white space around it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.spelling
    }

    /// The tag that names the account in every key. All spellings of an address have the same tag. The tag is a digest,
    /// so no key contains the address.
    #[must_use]
    pub fn tag(&self) -> Id {
        self.tag
    }
}

/// The domain in the ASCII form of DNS. `None` if the domain is not valid.
fn ascii_domain(domain: &str) -> Option<Cow<'_, str>> {
    // UTS 46 silently drops some of these characters.
    if domain.chars().any(is_invisible) {
        return None;
    }
    let ascii =
        if domain.is_ascii() { Cow::Borrowed(domain) } else { idna::domain_to_ascii_strict(domain).ok()?.into() };
    ascii.split('.').all(is_label).then_some(ascii)
}

/// Control, zero-width and bidirectional characters (OWASP ASVS 5.0, clause 2.2.1).
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

fn is_local_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte)
}

fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    (1..=LABEL_MAX_BYTES).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        && bytes.first() != Some(&b'-')
        && bytes.last() != Some(&b'-')
}

/// Never shows the address, because it is personal data, and logs outlive accounts.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

/// An account as the store keeps it.
#[derive(Clone)]
pub struct User {
    /// The `sub` of this user's tokens; never changes.
    pub id: Uuid,
    /// The email in the spelling of the sign-up.
    pub email: String,
    /// Seconds since the Unix epoch.
    pub created_at: u64,
    /// The password as an argon2id hash in PHC string format.
    pub password_hash: String,
    /// The addresses of the sign-up and of recent sign-ins.
    pub known_addresses: KnownAddresses,
    /// The latest change of the password by its owner, if there was one.
    pub password_change: Option<PasswordChange>,
    /// When the owner last proved that mail to this address reaches them, in seconds since the Unix epoch.
    pub email_verified_at: Option<u64>,
    /// The second factor, if the owner has enabled one.
    pub totp: Option<Totp>,
}

impl User {
    /// Whether a new password resets the failed guesses at the account. With a second factor, only a right code does.
    /// Otherwise, somebody who knows the password could guess codes without limit, with a new password in between.
    #[must_use]
    pub fn password_resets_failures(&self) -> bool {
        self.totp.is_none()
    }
}

/// When a password was changed, and in which session. A client that got no answer repeats its change in this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordChange {
    /// The session of the change.
    pub sid: Id,
    /// Seconds since the Unix epoch.
    pub at: u64,
}

/// A second factor: one-time passwords by time (RFC 6238), and recovery codes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totp {
    /// The sealed secret, in base64url without padding. Its context is the user's id.
    pub secret: String,
    /// When the owner confirmed the factor with a first code, in seconds since the Unix epoch.
    pub confirmed_at: u64,
    /// The time step of the last accepted code. No code of this step or of an earlier one is accepted (RFC 6238,
    /// section 5.2).
    pub last_step: u64,
    /// The digests of the recovery codes that are left.
    pub recovery_codes: Vec<Id>,
}

/// Shows no secret, no code and no step.
impl fmt::Debug for Totp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Totp").field("confirmed_at", &self.confirmed_at).finish_non_exhaustive()
    }
}

/// Shows only the id.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The part of an account that its owner may see.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The email in the spelling of the sign-up.
    pub email: String,
    /// The user's UUID.
    pub id: Uuid,
    /// Seconds since the Unix epoch.
    pub created_at: u64,
    /// Whether the owner has proved that mail to this address reaches them.
    pub email_verified: bool,
    /// Whether the account has a second factor.
    pub totp_enabled: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html5_addresses_parse() {
        let longest = format!("{}@{}.{}.{}", "l".repeat(64), "d".repeat(63), "e".repeat(63), "f".repeat(61));
        assert_eq!(longest.len(), 254);
        for good in [
            "a@b",
            "a.b+c@example.com",
            "{}@x.io",
            "o'neil@a-b.example",
            "x@xn--80ak6aa92e.com",
            "a@münchen.de",
            " a@b.c\t\n",
            &longest,
        ] {
            assert!(Email::parse(good).is_some(), "{good}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long_local = format!("{}@b.c", "l".repeat(65));
        let long_label = format!("a@{}.c", "d".repeat(64));
        let too_long = format!("{}@{}.{}.{}", "l".repeat(64), "d".repeat(63), "e".repeat(63), "f".repeat(62));
        for bad in [
            "",
            "a",
            "@",
            "a@",
            "@b",
            "a@b.",
            "a@.b",
            "a@-b.c",
            "a@b-.c",
            "a@b_c",
            "a b@c.d",
            "a@b@c",
            "a\0@b.c",
            "a\u{85}@b.c",
            "\u{202e}a@b.c",
            "a\u{200b}@b.c",
            "ı@b.c",
            "\u{212a}@b.c",
            "ß@b.c",
            "\u{a0}a@b.c",
            "a@b\u{ad}.c",
            "a@b\u{200b}.c",
            "a@\u{202e}b.c",
            "a@ex\u{3000}ample.com",
            "\u{ff41}@b.c",
            &long_local,
            &long_label,
            &too_long,
        ] {
            assert!(Email::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn the_ascii_form_keeps_the_spelling_of_the_rest() {
        for (email, ascii) in [
            ("A.b@Example.com", Some("A.b@Example.com")),
            ("A.b@m\u{fc}nchen.de", Some("A.b@xn--mnchen-3ya.de")),
            ("{a}@M\u{dc}NCHEN.de", Some("{a}@xn--mnchen-3ya.de")),
            ("a@\u{200b}b.c", None),
            ("\u{fc}", None),
        ] {
            assert_eq!(Email::ascii_form(email).as_deref(), ascii, "{email}");
        }
    }

    #[test]
    fn another_spelling_makes_no_second_account() {
        let tag = |text| Email::parse(text).unwrap().tag();
        assert_eq!(tag("A@B.c"), tag("a@b.C"));
        assert_ne!(tag("a@b.c"), tag("a@b.d"));
        assert_eq!(tag("a@MÜNCHEN.de"), tag("a@xn--mnchen-3ya.DE"));
        assert_eq!(tag(" a@b.c "), tag("a@b.c"));
    }
}
