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
    /// Missing without a second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    totp: Option<ShownTotp>,
}

/// The second factor of an account.
#[derive(Serialize)]
struct ShownTotp {
    confirmed_at: String,
    recovery_codes: usize,
}

impl Shown {
    pub(super) fn of(user: User) -> Self {
        let totp = user.totp.map(|totp| ShownTotp {
            confirmed_at: rfc3339(totp.confirmed_at),
            recovery_codes: totp.recovery_codes.len(),
        });
        Self {
            email: user.email,
            id: user.id,
            created_at: rfc3339(user.created_at),
            email_verified: user.email_verified_at.is_some(),
            totp,
        }
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        let verified = if self.email_verified { " verified" } else { "" };
        let totp = self.totp.as_ref().map(|totp| {
            let ShownTotp { confirmed_at, recovery_codes } = totp;
            format!(" second factor since {confirmed_at}, {recovery_codes} recovery codes left")
        });
        format!("{} id {} created {}{verified}{}", self.email, self.id, self.created_at, totp.unwrap_or_default())
    }
}
