//! Emails and user records.

use std::fmt;

use uuid::Uuid;

use crate::id::Id;

/// RFC 5321, section 4.5.3.1.3, less the angle brackets.
const EMAIL_MAX_BYTES: usize = 254;
/// RFC 5321, section 4.5.3.1.1.
const LOCAL_PART_MAX_BYTES: usize = 64;
/// RFC 1035, section 2.3.4.
const LABEL_MAX_BYTES: usize = 63;

/// An address that is valid by HTML5's rule for `<input type=email>`, in the spelling it came in.
///
/// The rule is ASCII only, so no two addresses are merged by Unicode case or width folding.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// `None` when `text` is not a valid address; nothing is trimmed or mapped.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > EMAIL_MAX_BYTES {
            return None;
        }
        let (local, domain) = text.rsplit_once('@')?;
        let local_ok = (1..=LOCAL_PART_MAX_BYTES).contains(&local.len()) && local.bytes().all(is_local_byte);
        (local_ok && domain.split('.').all(is_label)).then(|| Self(text.to_owned()))
    }

    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names the account in every key: the same for all ASCII spellings of one address, and free of its characters.
    #[must_use]
    pub fn tag(&self) -> Id {
        Id::digest(self.0.to_ascii_lowercase().as_bytes())
    }
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

/// Never shows the address: it is personal data, and logs outlive accounts.
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
    /// In the spelling the account was created with.
    pub email: String,
    /// Seconds since the Unix epoch.
    pub created_at: u64,
    /// The password as an argon2id hash in PHC string format.
    pub phc: String,
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
    /// In the spelling the account was created with.
    pub email: String,
    /// The user's UUID.
    pub id: Uuid,
    /// Seconds since the Unix epoch.
    pub created_at: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html5_addresses_parse() {
        let longest = format!("{}@{}.{}.{}", "l".repeat(64), "d".repeat(63), "e".repeat(63), "f".repeat(61));
        assert_eq!(longest.len(), 254);
        for good in ["a@b", "a.b+c@example.com", "{}@x.io", "o'neil@a-b.example", "x@xn--80ak6aa92e.com", &longest] {
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
            " a@b.c",
            "a@b.c ",
            "a@b@c",
            "a\0@b.c",
            "a\u{85}@b.c",
            "\u{202e}a@b.c",
            "a\u{200b}@b.c",
            "a@b.c\n",
            "ı@b.c",
            "\u{212a}@b.c",
            "ß@b.c",
            "\u{ff41}@b.c",
            "a@münchen.de",
            &long_local,
            &long_label,
            &too_long,
        ] {
            assert!(Email::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn case_makes_no_second_account() {
        let tag = |text| Email::parse(text).unwrap().tag();
        assert_eq!(tag("A@B.c"), tag("a@b.C"));
        assert_ne!(tag("a@b.c"), tag("a@b.d"));
    }
}
