//! A code of either kind, as a user types it.

use std::fmt;

use crate::{
    recovery::{CHARACTERS, RecoveryCode},
    secret::DIGITS,
};

/// A code that a user has typed. It has the right form, and may be wrong.
#[derive(Clone, PartialEq, Eq)]
pub enum Code {
    /// Six digits of an authenticator app.
    App(String),
    /// A recovery code.
    Recovery(RecoveryCode),
}

impl Code {
    /// Reads a code. Ignores blanks and hyphens, because apps show a code in two groups, and the case of letters. `None`
    /// if the text has the form of neither kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let characters = text.chars().filter(|c| !matches!(c, ' ' | '-' | '\t' | '\r' | '\n'));
        // One more than the longest code, so that a long text costs no memory.
        let code: String = characters.take(CHARACTERS + 1).map(|c| c.to_ascii_uppercase()).collect();
        if code.len() == DIGITS && code.bytes().all(|b| b.is_ascii_digit()) {
            return Some(Self::App(code));
        }
        RecoveryCode::parse(&code).map(Self::Recovery)
    }
}

/// Never shows the code.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::App(_) => "Code::App(..)",
            Self::Recovery(_) => "Code::Recovery(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_are_a_code_of_an_app_also_in_two_groups() {
        for text in ["081804", "081 804", " 081804\n", "081-804"] {
            assert_eq!(Code::parse(text), Some(Code::App("081804".to_owned())), "{text}");
        }
    }

    #[test]
    fn a_recovery_code_is_read_as_it_was_shown_and_in_lower_case() {
        let code = RecoveryCode::generate().unwrap();
        let shown = code.to_string();
        assert_eq!(shown.len(), 19);
        for text in [&shown, &shown.to_lowercase(), &shown.replace('-', ""), &shown.replace('-', " ")] {
            assert_eq!(Code::parse(text), Some(Code::Recovery(code.clone())));
        }
        assert_ne!(RecoveryCode::generate().unwrap(), code);
    }

    #[test]
    fn any_other_text_is_no_code() {
        let long = "A".repeat(1_000_000);
        for text in [
            "",
            "08180",
            "0818045",
            "08180a",
            "٠٨١٨٠٤",
            "AAAA-AAAA-AAAA-AAA1",
            "AAAA-AAAA-AAAA-AAA",
            "ÄAAAAAAAAAAAAAAA",
            &long,
        ] {
            assert_eq!(Code::parse(text), None);
        }
    }

    #[test]
    fn debug_output_shows_no_code() {
        let recovery = RecoveryCode::generate().unwrap();
        let shown = format!("{:?} {:?} {recovery:?}", Code::App("081804".to_owned()), Code::Recovery(recovery.clone()));
        assert_eq!(shown, "Code::App(..) Code::Recovery(..) RecoveryCode(..)");
    }
}
