//! The body of routes that act on one user. An access token may name the user instead.

use auth_service_records::user::Email;
use serde::Deserialize;

use crate::http::{
    extract::field::{Field, FieldProblems},
    problem_response::Problem,
};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct OwnerBody {
    email: Field,
    access_token: Field,
}

impl OwnerBody {
    /// The email of a request that needs one.
    ///
    /// # Errors
    /// When the email is missing or wrong.
    pub(crate) fn email(&self) -> Result<Email, Problem> {
        let mut problems = FieldProblems::default();
        let email = problems.check("email", self.email.email());
        problems.finish(email)
    }

    /// The email of a request whose header has an access token.
    ///
    /// # Errors
    /// As [`OwnerBody::email`]. Also [`Problem::TWO_TOKENS`] if the body has an access token too, because a request
    /// must use only one method to send a token (RFC 6750, section 2).
    pub(crate) fn email_beside_a_token(&self) -> Result<Email, Problem> {
        if self.access_token != Field::Missing {
            return Err(Problem::TWO_TOKENS);
        }
        self.email()
    }
}
