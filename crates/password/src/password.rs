//! The type of a password: text in Unicode NFC.

use std::fmt;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The longest password that the API accepts, in bytes of UTF-8 as the client sends them.
///
/// [`Password::new`] does not check the length. The caller checks it, so that the error can name the field.
pub const PASSWORD_MAX_BYTES: usize = 1024;

/// A password in Unicode NFC, so that every keyboard produces the same bytes (RFC 8265, profile OpaqueString). The type
/// does not change or truncate the text otherwise (OWASP ASVS 5.0 clause 6.2.8).
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Normalises `text`. Accepts any text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(if is_nfc(text) { text.to_owned() } else { text.nfc().collect() })
    }

    /// Length in Unicode code points, the unit of NIST SP 800-63B-4 section 3.1.1.2.
    #[must_use]
    pub fn code_points(&self) -> usize {
        self.0.chars().count()
    }

    /// The normalised text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
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
        assert_eq!((composed.code_points(), decomposed.code_points()), (4, 4));
    }

    #[test]
    fn nothing_else_changes() {
        for text in ["", "  two  spaces ", "UPPER", "ﬁ ligature", "\u{1f980} crab", &"x".repeat(PASSWORD_MAX_BYTES)] {
            assert_eq!(Password::new(text).as_str(), text);
        }
    }

    #[test]
    fn debug_output_hides_the_password() {
        assert_eq!(format!("{:?}", Password::new("secret")), "Password(..)");
    }
}
