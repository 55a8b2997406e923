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
}

impl Shown {
    pub(super) fn of(user: User) -> Self {
        Self { email: user.email, id: user.id, created_at: rfc3339(user.created_at) }
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        format!("{} id {} created {}", self.email, self.id, self.created_at)
    }
}
