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
    /// Absent if `false`. `update_user.lua` writes the field too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    email_verified: bool,
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
    let User { email, created_at, email_verified_at, .. } = user;
    Access { email: email.clone(), created_at: *created_at, email_verified: email_verified_at.is_some() }
}

/// The epoch entry of a new epoch.
pub(crate) fn new_epoch(epoch: Id, user: &User) -> Vec<u8> {
    let Access { email, created_at, email_verified } = profile(user);
    let fields = EpochFields { v: VERSION, epoch, email, created_at, email_verified };
    // A struct of text and numbers always serializes.
    serde_json::to_vec(&fields).unwrap_or_default()
}

/// The answer to a token check, from the two entries. `None` if they name different epochs.
///
/// # Errors
/// As [`decode`].
pub(crate) fn check(epoch: &[u8], access: &[u8]) -> Result<Option<Access>, Error> {
    let (epoch, access): (EpochFields, AccessFields) = (decode(epoch)?, decode(access)?);
    let EpochFields { email, created_at, email_verified, .. } = epoch;
    Ok((epoch.epoch == access.epoch).then_some(Access { email, created_at, email_verified }))
}
