//! The token check: the fields that it reads of the epoch entry and of the access entry. Both stores keep these entries
//! as JSON with a version.

use auth_service_records::{error::Error, session::Access, user::User};
use auth_service_token::Id;
use serde::{Deserialize, Serialize};

use crate::versioned::{VERSION, Versioned, decode};

/// The user's epoch, and the profile that a token check returns.
#[derive(Serialize, Deserialize)]
struct EpochFields {
    v: u64,
    epoch: Id,
    email: String,
    created_at: u64,
    /// Absent if `false`, as the next field. `update_user.lua` writes both fields, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    email_verified: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    totp_enabled: bool,
}

#[derive(Deserialize)]
struct AccessFields {
    v: u64,
    epoch: Id,
}

impl Versioned for EpochFields {
    const NAME: &'static str = "an epoch entry";

    fn version(&self) -> u64 {
        self.v
    }
}

impl Versioned for AccessFields {
    const NAME: &'static str = "an access entry";

    fn version(&self) -> u64 {
        self.v
    }
}

/// What a token check shows of an account.
pub(crate) fn profile(user: &User) -> Access {
    Access {
        email: user.email.clone(),
        created_at: user.created_at,
        email_verified: user.email_verified_at.is_some(),
        totp_enabled: user.totp.is_some(),
    }
}

/// The fields of an epoch entry that a change of the account may change during a session, as text at the end of the
/// entry.
pub(crate) fn changing_fields(user: &User) -> String {
    let Access { email_verified, totp_enabled, .. } = profile(user);
    let fields = [("email_verified", email_verified), ("totp_enabled", totp_enabled)];
    fields.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| format!(",\"{name}\":true")).collect()
}

/// The epoch entry of a new epoch.
pub(crate) fn new_epoch(epoch: Id, user: &User) -> Vec<u8> {
    let Access { email, created_at, email_verified, totp_enabled } = profile(user);
    let fields = EpochFields { v: VERSION, epoch, email, created_at, email_verified, totp_enabled };
    // A struct of text and numbers always serializes.
    serde_json::to_vec(&fields).unwrap_or_default()
}

/// The answer to a token check, from the two entries. `None` if they name different epochs.
///
/// # Errors
/// As [`decode`].
pub(crate) fn check(epoch: &[u8], access: &[u8]) -> Result<Option<Access>, Error> {
    let (epoch, access): (EpochFields, AccessFields) = (decode(epoch)?, decode(access)?);
    let EpochFields { email, created_at, email_verified, totp_enabled, .. } = epoch;
    Ok((epoch.epoch == access.epoch).then_some(Access { email, created_at, email_verified, totp_enabled }))
}
