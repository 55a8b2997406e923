//! The user record as both stores keep it: JSON with a version.

use auth_service_records::{
    error::{Error, Outage},
    throttle::KnownAddresses,
    user::User,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The version of the values that this program writes. The program also reads every earlier version.
pub(crate) const VERSION: u64 = 1;

/// A user together with the exact bytes in the store. A write compares these bytes, and so detects a change since the
/// read.
#[derive(Debug, Clone)]
pub struct StoredUser {
    /// The user.
    pub user: User,
    pub(crate) revision: Vec<u8>,
    /// Fields that this version does not know. A write keeps them.
    unknown_fields: Map<String, Value>,
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
    #[serde(flatten)]
    unknown_fields: Map<String, Value>,
}

/// The version alone. A value of any later version has this field too.
#[derive(Deserialize)]
struct Versioned {
    v: u64,
}

/// Reads a user record.
///
/// # Errors
/// [`Outage::NewerVersion`] for a record of a later version, [`Error::Internal`] for anything else that is not a
/// record.
pub(crate) fn decode_user(revision: Vec<u8>) -> Result<StoredUser, Error> {
    check_version(&revision, "user record")?;
    let record: UserRecord =
        serde_json::from_slice(&revision).map_err(|_| Error::Internal("a user record cannot be read".to_owned()))?;
    let UserRecord { v: _, id, email, created_at, password_hash, known_addresses, unknown_fields } = record;
    let user = User { id, email, created_at, password_hash, known_addresses };
    Ok(StoredUser { user, revision, unknown_fields })
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
    let User { id, email, created_at, password_hash, known_addresses } = user.clone();
    let unknown_fields = unknown_fields.clone();
    let record = UserRecord { v: VERSION, id, email, created_at, password_hash, known_addresses, unknown_fields };
    // A struct of text, numbers and JSON always serializes.
    serde_json::to_vec(&record).unwrap_or_default()
}

/// Refuses a JSON value of a later version.
///
/// # Errors
/// [`Outage::NewerVersion`]; [`Error::Internal`] if the value is not a JSON object with a version.
pub(crate) fn check_version(value: &[u8], what: &str) -> Result<(), Error> {
    match serde_json::from_slice::<Versioned>(value) {
        Ok(Versioned { v }) if v > VERSION => Err(newer_version(what)),
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Internal(format!("a {what} cannot be read"))),
    }
}

/// Logs that a value has a later version, and returns the error for the request.
pub(crate) fn newer_version(what: &str) -> Error {
    tracing::error!("a {what} in the store was written by a later version of auth-service; upgrade this replica");
    Error::Unavailable(Outage::NewerVersion)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> User {
        User {
            id: Uuid::from_u128(1),
            email: "ada@example.com".to_owned(),
            created_at: 1_800_000_000,
            password_hash: "$argon2id$…".to_owned(),
            known_addresses: KnownAddresses::default(),
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
