//! The user record as both stores keep it: JSON with a version.

use std::fmt;

use auth_service_records::{
    error::Error,
    throttle::KnownAddresses,
    user::{PasswordChange, Totp, User},
};
use auth_service_token::Id;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::versioned::{Versioned, decode};

/// The version of a record that every version of this program can use.
const VERSION: u64 = 1;
/// The version of a record that the first version of this program must not use: it would ignore the second factor, or
/// the mark of a move.
const STRICT_VERSION: u64 = 2;

/// A user together with the exact bytes in the store. A write compares these bytes, and so detects a change since the
/// read.
#[derive(Debug, Clone)]
pub struct StoredUser {
    /// The user.
    pub user: User,
    pub(crate) revision: Vec<u8>,
    /// Fields that this version does not know. A write keeps them.
    pub unknown_fields: Map<String, Value>,
    /// The move to another email that is not complete yet. No operation outside the store sees such a record.
    pub(crate) mark: Option<Mark>,
}

/// A move that is not complete yet, as each of the two records names it.
#[derive(Clone)]
pub(crate) enum Mark {
    /// The account moves away.
    Leaving(Leaving),
    /// The account has arrived.
    Arriving(Arriving),
}

/// Never shows the record.
impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leaving(_) => "Leaving(..)",
            Self::Arriving(_) => "Arriving(..)",
        })
    }
}

/// The mark of a record that moves away.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Leaving {
    /// The random id of the move, which no other record has ever had.
    pub(crate) id: Id,
    /// The new tag.
    pub(crate) to: Id,
    /// The record at the new tag.
    user: Box<UserRecord>,
}

/// The mark of a record that has arrived.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Arriving {
    /// See [`Leaving::id`].
    pub(crate) id: Id,
    /// The former tag.
    pub(crate) from: Id,
}

#[derive(Clone, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email_verified_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    totp: Option<Totp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaving: Option<Leaving>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arriving: Option<Arriving>,
    #[serde(flatten)]
    unknown_fields: Map<String, Value>,
}

impl Versioned for UserRecord {
    const NAME: &'static str = "a user record";
    const LATEST: u64 = STRICT_VERSION;

    fn version(&self) -> u64 {
        self.v
    }
}

/// Reads a user record.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_user(revision: Vec<u8>) -> Result<StoredUser, Error> {
    let record: UserRecord = decode(&revision)?;
    let mark = record.leaving.map(Mark::Leaving).or(record.arriving.map(Mark::Arriving));
    let user = User {
        id: record.id,
        email: record.email,
        created_at: record.created_at,
        password_hash: record.password_hash,
        known_addresses: record.known_addresses,
        password_change: record.password_change,
        email_verified_at: record.email_verified_at,
        totp: record.totp,
    };
    Ok(StoredUser { user, revision, unknown_fields: record.unknown_fields, mark })
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
    encode(record(&new.user, &new.unknown_fields))
}

/// The record of a new account.
pub(crate) fn encode_user(user: &User) -> Vec<u8> {
    encode(record(user, &Map::new()))
}

/// The record that replaces `stored` and keeps its unknown fields. Without the mark of a move.
pub(crate) fn encode_changed_user(user: &User, stored: &StoredUser) -> Vec<u8> {
    encode(record(user, &stored.unknown_fields))
}

/// The record that replaces `stored` when the move `id` begins. `user` is the account after the move.
pub(crate) fn encode_leaving(stored: &StoredUser, user: &User, id: Id, to: Id) -> (Vec<u8>, Leaving) {
    let leaving = Leaving { id, to, user: Box::new(record(user, &stored.unknown_fields)) };
    let marked = UserRecord { leaving: Some(leaving.clone()), ..record(&stored.user, &stored.unknown_fields) };
    (encode(marked), leaving)
}

/// The record that arrives at the new tag.
pub(crate) fn encode_arriving(leaving: &Leaving, from: Id) -> Vec<u8> {
    let arriving = Arriving { id: leaving.id, from };
    encode(UserRecord { arriving: Some(arriving), ..(*leaving.user).clone() })
}

fn record(user: &User, unknown_fields: &Map<String, Value>) -> UserRecord {
    let User { id, email, created_at, password_hash, known_addresses, password_change, email_verified_at, totp } =
        user.clone();
    UserRecord {
        v: VERSION,
        id,
        email,
        created_at,
        password_hash,
        known_addresses,
        password_change,
        email_verified_at,
        totp,
        leaving: None,
        arriving: None,
        unknown_fields: unknown_fields.clone(),
    }
}

fn encode(mut record: UserRecord) -> Vec<u8> {
    let is_strict = record.totp.is_some() || record.leaving.is_some() || record.arriving.is_some();
    record.v = if is_strict { STRICT_VERSION } else { VERSION };
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
            email_verified_at: None,
            totp: None,
        }
    }

    #[test]
    fn a_field_that_this_version_does_not_know_survives_a_change() {
        let mut value: Value = serde_json::from_slice(&encode_user(&user())).unwrap();
        let unknown = serde_json::json!({"empty": [], "large": u64::MAX, "null": null});
        value["device"] = unknown.clone();
        let stored = decode_user(serde_json::to_vec(&value).unwrap()).unwrap();
        let changed = User { password_hash: "$argon2id$new".to_owned(), ..stored.user.clone() };
        let written: Value = serde_json::from_slice(&encode_changed_user(&changed, &stored)).unwrap();
        assert_eq!(written["device"], unknown);
        assert_eq!(written["password_hash"], "$argon2id$new");
        assert_eq!(written["v"], 1);
    }

    #[test]
    fn a_record_with_a_second_factor_is_of_version_2() {
        let totp = Totp { secret: "sealed".to_owned(), confirmed_at: 1, last_step: 2, recovery_codes: Vec::new() };
        let with_totp = encode_user(&User { totp: Some(totp.clone()), ..user() });
        let version = |json: &[u8]| serde_json::from_slice::<Value>(json).unwrap()["v"].clone();
        assert_eq!(version(&with_totp), 2);
        let stored = decode_user(with_totp).unwrap();
        assert_eq!(stored.user.totp, Some(totp));
        assert_eq!(version(&encode_changed_user(&User { totp: None, ..user() }, &stored)), 1);
    }

    #[test]
    fn a_record_of_a_later_version_is_an_outage_whatever_else_it_holds() {
        let newer = decode_user(br#"{"v":3,"id":7}"#.to_vec());
        assert!(matches!(newer, Err(Error::Unavailable(Outage::NewerVersion))), "{newer:?}");
        assert!(matches!(decode_user(b"nonsense".to_vec()), Err(Error::Internal(_))));
    }
}
