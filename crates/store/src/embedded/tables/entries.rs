//! The entries of epochs and sessions: JSON with a version. A write keeps the fields that this version does not know.

use auth_service_records::session::Access;
use auth_service_token::Id;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::versioned::{VERSION, Versioned};

/// The user's epoch, and the profile that a token check returns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::embedded) struct EpochEntry {
    #[serde(serialize_with = "current_version")]
    v: u64,
    pub(in crate::embedded) epoch: Id,
    /// The email in the spelling of the sign-up.
    pub(in crate::embedded) email: String,
    /// When the account was created, in seconds since the Unix epoch.
    pub(in crate::embedded) created_at: u64,
    /// Whether the owner has proved that mail to the address reaches them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::embedded) email_verified: bool,
    /// Whether the account has a second factor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::embedded) totp_enabled: bool,
    #[serde(flatten)]
    unknown_fields: Map<String, Value>,
}

/// The epoch alone. An epoch entry of any version has this field.
#[derive(Deserialize)]
pub(super) struct EpochId {
    pub(super) epoch: Id,
}

/// The session's access entry. It also stores when and in which order the session was opened, because the access entry
/// may outlive the refresh entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::embedded) struct AccessEntry {
    #[serde(serialize_with = "current_version")]
    v: u64,
    pub(in crate::embedded) epoch: Id,
    /// See [`RefreshEntry::created_at`].
    pub(in crate::embedded) created_at: u64,
    /// See [`RefreshEntry::number`].
    pub(in crate::embedded) number: u64,
    #[serde(flatten)]
    unknown_fields: Map<String, Value>,
}

/// The session's refresh entry. All times are in seconds since the Unix epoch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::embedded) struct RefreshEntry {
    #[serde(serialize_with = "current_version")]
    v: u64,
    pub(in crate::embedded) epoch: Id,
    /// The `jti` of the current refresh token.
    pub(in crate::embedded) id: Id,
    /// Whether the current refresh token has been used.
    pub(in crate::embedded) used: bool,
    /// The `jti` of the spent refresh token that the current one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::embedded) spent: Option<Id>,
    /// When `spent` was spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::embedded) spent_at: Option<u64>,
    /// The time of the sign-in.
    pub(in crate::embedded) created_at: u64,
    /// Orders the sessions of the user by sign-in, also within one second.
    pub(in crate::embedded) number: u64,
    pub(in crate::embedded) last_used_at: u64,
    /// The latest end of the session, however often it is refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::embedded) ends_at: Option<u64>,
    pub(in crate::embedded) address: String,
    pub(in crate::embedded) user_agent: String,
    #[serde(flatten)]
    unknown_fields: Map<String, Value>,
}

impl Versioned for EpochEntry {
    const NAME: &'static str = "an epoch entry";

    fn version(&self) -> u64 {
        self.v
    }
}

impl Versioned for AccessEntry {
    const NAME: &'static str = "an access entry";

    fn version(&self) -> u64 {
        self.v
    }
}

impl Versioned for RefreshEntry {
    const NAME: &'static str = "a refresh entry";

    fn version(&self) -> u64 {
        self.v
    }
}

impl EpochEntry {
    pub(in crate::embedded) fn new(epoch: Id, profile: Access) -> Self {
        let Access { email, created_at, email_verified, totp_enabled } = profile;
        Self { v: VERSION, epoch, email, created_at, email_verified, totp_enabled, unknown_fields: Map::new() }
    }

    pub(in crate::embedded) fn set_profile(&mut self, profile: Access) {
        let Access { email, created_at, email_verified, totp_enabled } = profile;
        (self.email, self.created_at) = (email, created_at);
        (self.email_verified, self.totp_enabled) = (email_verified, totp_enabled);
    }
}

impl AccessEntry {
    /// The access entry of the session that has this refresh entry.
    pub(in crate::embedded) fn of(refresh: &RefreshEntry) -> Self {
        let RefreshEntry { epoch, created_at, number, .. } = *refresh;
        Self { v: VERSION, epoch, created_at, number, unknown_fields: Map::new() }
    }
}

impl RefreshEntry {
    /// The entry of a session that opens now.
    pub(in crate::embedded) fn new(epoch: Id, id: Id, number: u64, now_seconds: u64) -> Self {
        Self {
            v: VERSION,
            epoch,
            id,
            used: false,
            spent: None,
            spent_at: None,
            created_at: now_seconds,
            number,
            last_used_at: now_seconds,
            ends_at: None,
            address: String::new(),
            user_agent: String::new(),
            unknown_fields: Map::new(),
        }
    }
}

impl RefreshEntry {
    /// `expiry`, or the latest end of the session if that is earlier. Both times are in milliseconds since the Unix
    /// epoch.
    pub(in crate::embedded) fn cut(&self, expiry: u64) -> u64 {
        self.ends_at.map_or(expiry, |ends_at| expiry.min(ends_at.saturating_mul(1_000)))
    }
}

pub(super) fn encode(entry: &impl Serialize) -> Vec<u8> {
    // A struct of text, numbers and JSON always serializes.
    serde_json::to_vec(entry).unwrap_or_default()
}

/// A write gives an entry of an earlier version the current version.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls the function with a reference")]
fn current_version<S: Serializer>(_: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(VERSION)
}
