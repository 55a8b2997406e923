//! An account, as commands print it.

use auth_service_records::{clock::rfc3339, user::User};
use serde::Serialize;
use uuid::Uuid;

use crate::cli::output::Report;

/// The part of an account that commands print.
#[derive(Serialize)]
pub(super) struct Shown {
    email: String,
    id: Uuid,
    created_at: String,
    email_verified: bool,
}

impl Shown {
    pub(super) fn of(user: User) -> Self {
        Self {
            email: user.email,
            id: user.id,
            created_at: rfc3339(user.created_at),
            email_verified: user.email_verified_at.is_some(),
        }
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        let verified = if self.email_verified { " verified" } else { "" };
        format!("{} id {} created {}{verified}", self.email, self.id, self.created_at)
    }
}
