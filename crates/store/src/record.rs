//! The user record as both stores keep it: JSON with a version.

use auth_service_records::{
    error::Error,
    throttle::KnownAddresses,
    user::{PasswordChange, User},
};
use auth_service_token::Id;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::versioned::{VERSION, Versioned, decode};

/// A user together with the exact bytes in the store. A write compares these bytes, and so detects a change since the
/// read.
#[derive(Debug, Clone)]
pub struct StoredUser {
    /// The user.
    pub user: User,
    pub(crate) revision: Vec<u8>,
    /// Fields that this version does not know. A write keeps them.
    pub unknown_fields: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct UserRecord {
    v: u64,
    id: Uuid,
    email: String,
    created_at: u64,
    password_hash: String,
    #[serde(default)]
    known_addresses: KnownAddresses,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_change: Option<PasswordChange>,
    #[serde(flatten)]
    unknown_fields: Map<String, Value>,
}

impl Versioned for UserRecord {
    const NAME: &'static str = "a user record";

    fn version(&self) -> u64 {
        self.v
    }
}

/// Reads a user record.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_user(revision: Vec<u8>) -> Result<StoredUser, Error> {
    let record = decode(&revision)?;
    let UserRecord { v: _, id, email, created_at, password_hash, known_addresses, password_change, unknown_fields } =
        record;
    let user = User { id, email, created_at, password_hash, known_addresses, password_change };
    Ok(StoredUser { user, revision, unknown_fields })
}

/// An account that comes from another store or another service.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The tag of the account's email.
    pub tag: Id,
    /// The account.
    pub user: User,
    /// Fields of the record that this version does not know.
    pub unknown_fields: Map<String, Value>,
}

/// The record of an account that comes from elsewhere.
pub(crate) fn encode_new_user(new: &NewUser) -> Vec<u8> {
    encode(&new.user, &new.unknown_fields)
}

/// The record of a new account.
pub(crate) fn encode_user(user: &User) -> Vec<u8> {
    encode(user, &Map::new())
}

/// The record that replaces `stored` and keeps its unknown fields.
pub(crate) fn encode_changed_user(user: &User, stored: &StoredUser) -> Vec<u8> {
    encode(user, &stored.unknown_fields)
}

fn encode(user: &User, unknown_fields: &Map<String, Value>) -> Vec<u8> {
    let User { id, email, created_at, password_hash, known_addresses, password_change } = user.clone();
    let record = UserRecord {
        v: VERSION,
        id,
        email,
        created_at,
        password_hash,
        known_addresses,
        password_change,
        unknown_fields: unknown_fields.clone(),
    };
    // A struct of text, numbers and JSON always serializes.
    serde_json::to_vec(&record).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use auth_service_records::error::Outage;

    use super::*;

    fn user() -> User {
        User {
            id: Uuid::from_u128(1),
            email: "ada@example.com".to_owned(),
            created_at: 1_800_000_000,
            password_hash: "$argon2id$…".to_owned(),
            known_addresses: KnownAddresses::default(),
            password_change: None,
        }
    }

    #[test]
    fn a_field_that_this_version_does_not_know_survives_a_change() {
        let mut value: Value = serde_json::from_slice(&encode_user(&user())).unwrap();
        let unknown = serde_json::json!({"empty": [], "large": u64::MAX, "null": null});
        value["totp"] = unknown.clone();
        let stored = decode_user(serde_json::to_vec(&value).unwrap()).unwrap();
        let changed = User { password_hash: "$argon2id$new".to_owned(), ..stored.user.clone() };
        let written: Value = serde_json::from_slice(&encode_changed_user(&changed, &stored)).unwrap();
        assert_eq!(written["totp"], unknown);
        assert_eq!(written["password_hash"], "$argon2id$new");
        assert_eq!(written["v"], 1);
    }

    #[test]
    fn a_record_of_a_later_version_is_an_outage_whatever_else_it_holds() {
        let newer = decode_user(br#"{"v":2,"id":7}"#.to_vec());
        assert!(matches!(newer, Err(Error::Unavailable(Outage::NewerVersion))), "{newer:?}");
        assert!(matches!(decode_user(b"nonsense".to_vec()), Err(Error::Internal(_))));
    }
}
