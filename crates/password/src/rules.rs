//! The rules for new passwords, besides their length.

use auth_service_records::error::Error;

use crate::{breached::BreachedPasswords, password::Password, strength};

/// The rules for new passwords, besides their length.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The minimum zxcvbn score, from 0 (any password) to 4.
    pub min_score: u8,
    /// Passwords that nobody may choose.
    pub breached: Option<BreachedPasswords>,
}

impl Rules {
    /// Checks a new password of the user with this email.
    ///
    /// # Errors
    /// [`Error::WeakPassword`]; [`Error::Internal`] if the list of leaked passwords cannot be read.
    pub(crate) fn check(&self, password: &Password, email: &str) -> Result<(), Error> {
        strength::check(password, email, self.min_score)?;
        let Some(breached) = &self.breached else { return Ok(()) };
        match breached.contains(password) {
            Ok(false) => Ok(()),
            Ok(true) => {
                let problem = "is on a list of leaked passwords, which attackers try first. Choose another password.";
                Err(Error::WeakPassword { field: "password", problem: problem.to_owned() })
            }
            Err(error) => Err(Error::Internal(format!("BREACHED_PASSWORDS cannot be read: {error}"))),
        }
    }
}
