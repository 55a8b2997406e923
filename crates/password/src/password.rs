//! The type of a password: text in Unicode NFC.

use std::{borrow::Cow, fmt};

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The longest password that the API accepts, in bytes of UTF-8 as the client sends them.
///
/// [`Password::new`] does not check the length. The caller checks it, so that the error can name the field.
pub const PASSWORD_MAX_BYTES: usize = 1024;

/// A password in Unicode NFC, so that every keyboard produces the same bytes (RFC 8265, profile OpaqueString). The type
/// does not change or truncate the text otherwise (OWASP ASVS 5.0 clause 6.2.8).
#[derive(Clone)]
pub struct Password {
    normalised: String,
    /// The text as the client sent it, if it is not in NFC.
    as_sent: Option<String>,
}

impl Password {
    /// Normalises `text`. Accepts any text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if is_nfc(text) {
            return Self { normalised: text.to_owned(), as_sent: None };
        }
        Self { normalised: text.nfc().collect(), as_sent: Some(text.to_owned()) }
    }

    /// Checks a new password: at least `min_length` code points, and at most [`PASSWORD_MAX_BYTES`].
    ///
    /// # Errors
    /// What to correct, as the rest of a sentence that starts with the name of the password. It never quotes the
    /// password.
    pub fn checked(text: &str, min_length: usize) -> Result<Self, Cow<'static, str>> {
        if text.len() > PASSWORD_MAX_BYTES {
            return Err(format!("must not have more than {PASSWORD_MAX_BYTES} bytes").into());
        }
        let password = Self::new(text);
        if text.is_empty() || password.code_points() < min_length {
            return Err(format!("must have at least {min_length} characters").into());
        }
        Ok(password)
    }

    /// Length in Unicode code points, the unit of NIST SP 800-63B-4 section 3.1.1.2.
    fn code_points(&self) -> usize {
        self.normalised.chars().count()
    }

    /// The normalised text.
    pub(crate) fn as_str(&self) -> &str {
        &self.normalised
    }

    /// The text as the client sent it, for the hash of a service that did not normalise.
    pub(crate) fn as_sent(&self) -> &str {
        self.as_sent.as_deref().unwrap_or(&self.normalised)
    }
}

/// Never shows the password.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composed_and_decomposed_spellings_are_one_password() {
        let (composed, decomposed) = (Password::new("caf\u{e9}"), Password::new("cafe\u{301}"));
        assert_eq!(composed.as_str(), decomposed.as_str());
        assert_eq!((composed.as_sent(), decomposed.as_sent()), ("caf\u{e9}", "cafe\u{301}"));
        assert_eq!((composed.code_points(), decomposed.code_points()), (4, 4));
    }

    #[test]
    fn nothing_else_changes() {
        for text in ["", "  two  spaces ", "UPPER", "ﬁ ligature", "\u{1f980} crab", &"x".repeat(PASSWORD_MAX_BYTES)] {
            assert_eq!(Password::new(text).as_str(), text);
        }
    }

    #[test]
    fn a_new_password_has_a_shortest_and_a_longest_length() {
        let [longest, too_long] = [0, 1].map(|more| "x".repeat(PASSWORD_MAX_BYTES + more));
        for good in ["123456", "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", &longest] {
            assert!(Password::checked(good, 6).is_ok(), "{good}");
        }
        for (bad, problem) in [
            ("", "must have at least 6 characters"),
            ("12345", "must have at least 6 characters"),
            ("e\u{301}e\u{301}e\u{301}", "must have at least 6 characters"),
            (&too_long, "must not have more than 1024 bytes"),
        ] {
            assert_eq!(Password::checked(bad, 6).unwrap_err(), problem, "{bad}");
        }
    }

    #[test]
    fn debug_output_hides_the_password() {
        assert_eq!(format!("{:?}", Password::new("secret")), "Password(..)");
    }
}
