//! The strength of a new password, estimated by zxcvbn, which knows tens of thousands of common passwords.

use auth_service_records::error::Error;

use crate::password::Password;

/// The number of characters that zxcvbn scores. More characters would take too long, and these are enough to recognise
/// a strong password.
const SCORED_CHARACTERS: usize = 64;
/// Words that an attacker tries first because of the name of the service.
const SERVICE_WORDS: [&str; 3] = ["auth-service", "auth", "service"];

/// Checks that `password` has a zxcvbn score of at least `min_score`, from 0 (any) to 4, for the user with this email
/// (OWASP ASVS 5.0 clauses 6.2.4 and 6.2.11).
///
/// # Errors
/// [`Error::WeakPassword`] with advice that never quotes the password.
pub(crate) fn check(password: &Password, email: &str, min_score: u8) -> Result<(), Error> {
    if min_score == 0 {
        return Ok(());
    }
    let scored: String = password.as_str().chars().take(SCORED_CHARACTERS).collect();
    let context: Vec<&str> = std::iter::once(email).chain(email.split(['@', '.'])).chain(SERVICE_WORDS).collect();
    let entropy = zxcvbn::zxcvbn(&scored, &context);
    if u8::from(entropy.score()) >= min_score {
        return Ok(());
    }
    // The sentences of the library are fixed texts, so the advice never quotes the password.
    let feedback = entropy.feedback();
    let warning = feedback.and_then(zxcvbn::feedback::Feedback::warning).map(|warning| warning.to_string());
    let suggestions = feedback.map(zxcvbn::feedback::Feedback::suggestions).unwrap_or_default();
    let advice: Vec<_> = warning.into_iter().chain(suggestions.iter().map(ToString::to_string)).collect();
    let problem = format!("is too easy to guess. {}", advice.join(" ")).trim_end().to_owned();
    Err(Error::WeakPassword { field: "password", problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRONG: &str = "plinth-ocarina-vexed-77";

    fn passes(password: &str, min_score: u8) -> bool {
        check(&Password::new(password), "margarethe@wintergreen.example", min_score).is_ok()
    }

    #[test]
    fn common_passwords_fail_and_strong_ones_pass() {
        for common in ["password", "123456", "qwertyuiop", "P@ssw0rd"] {
            assert!(!passes(common, 1), "{common}");
            assert!(passes(common, 0), "{common}");
        }
        assert!(passes(STRONG, 4));
    }

    #[test]
    fn words_of_the_email_and_of_the_service_are_weak() {
        for guessable in ["margarethe", "wintergreen", "margarethe@wintergreen.example", "auth-service"] {
            assert!(!passes(guessable, 2), "{guessable}");
        }
    }

    #[test]
    fn the_advice_does_not_quote_the_password() {
        let weak = check(&Password::new("qwertyuiop"), "", 4);
        let Err(Error::WeakPassword { field: "password", problem }) = weak else { panic!("{weak:?}") };
        assert!(problem.len() > "is too easy to guess. ".len() && !problem.contains("qwertyuiop"), "{problem}");
    }

    #[test]
    fn only_the_first_characters_are_scored() {
        assert!(!passes(&("a".repeat(SCORED_CHARACTERS) + STRONG), 4));
    }
}
