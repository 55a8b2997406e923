//! The body of routes that are about one user, whom an access token may name as well.

use auth_service_records::user::Email;
use serde::Deserialize;

use crate::http::{
    extract::field::{Complaints, Field},
    problem_response::Problem,
};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct OwnerBody {
    email: Field,
    access_token: Field,
}

impl OwnerBody {
    /// # Errors
    /// When the email is missing or wrong.
    pub(crate) fn email(&self) -> Result<Email, Problem> {
        let mut complaints = Complaints::default();
        let email = complaints.check("email", self.email.email());
        complaints.finish(email)
    }

    /// The email of a request whose header has an access token.
    ///
    /// # Errors
    /// As [`OwnerBody::email`]. Also when the body has an access token, as there is one way at a time to send one (RFC
    /// 6750, section 2).
    pub(crate) fn email_beside_a_token(&self) -> Result<Email, Problem> {
        if self.access_token != Field::Missing {
            return Err(Problem::TWO_TOKENS);
        }
        self.email()
    }
}
