//! The line of one account in a file of accounts: JSON, as `export` writes it and `import` reads it.

use std::borrow::Cow;

use auth_service_password::{HashCost, check_hash};
use auth_service_records::{
    clock::{parse_time, rfc3339},
    throttle::KnownAddresses,
    user::{Email, Totp, User},
};
use auth_service_store::{NewUser, StoredUser};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Map, Value, error::Category};
use uuid::Uuid;

/// The version of a line that every version of `import` reads. `import` also reads lines without a version, which other
/// services write.
const VERSION: u64 = 1;
/// The version of a line with a second factor, which the first version of `import` must not read, because a server of
/// that version ignores the second factor.
const STRICT_VERSION: u64 = 2;

/// Why a line is refused, without any of its content.
pub(super) type Reason = Cow<'static, str>;

#[derive(Serialize)]
struct Written<'a> {
    v: u64,
    email: &'a str,
    id: Uuid,
    created_at: String,
    password_hash: &'a str,
    known_addresses: &'a KnownAddresses,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    totp: Option<&'a Totp>,
    #[serde(flatten)]
    unknown_fields: &'a Map<String, Value>,
}

/// The fields of any type, so that the reason can name the wrong one.
#[derive(Deserialize)]
struct Read {
    v: Option<Value>,
    email: Option<Value>,
    id: Option<Value>,
    created_at: Option<Value>,
    password_hash: Option<Value>,
    known_addresses: Option<Value>,
    email_verified_at: Option<Value>,
    totp: Option<Value>,
    /// Belongs to a session, and sessions do not move.
    #[serde(rename = "password_change")]
    _password_change: Option<IgnoredAny>,
    #[serde(flatten)]
    unknown_fields: Map<String, Value>,
}

/// The line of an account, without the line break.
pub(super) fn write(stored: &StoredUser) -> String {
    let User { id, email, created_at, password_hash, known_addresses, email_verified_at, totp, .. } = &stored.user;
    let line = Written {
        v: if totp.is_some() { STRICT_VERSION } else { VERSION },
        email,
        id: *id,
        created_at: rfc3339(*created_at),
        password_hash,
        known_addresses,
        email_verified_at: email_verified_at.map(rfc3339),
        totp: totp.as_ref(),
        unknown_fields: &stored.unknown_fields,
    };
    // A struct of text, numbers and JSON always serializes.
    serde_json::to_string(&line).unwrap_or_default()
}

/// Reads a line. An account without `created_at` is created `now`, in seconds since the Unix epoch. `current` is the
/// cost of new hashes.
pub(super) fn read(line: &[u8], now: u64, current: HashCost) -> Result<NewUser, Reason> {
    let read: Read = serde_json::from_slice(line).map_err(|error| match error.classify() {
        Category::Data => "it must be a JSON object that has each field once",
        _ => "it is not JSON",
    })?;
    let Read { v, email, id, created_at, password_hash, known_addresses, email_verified_at, totp, .. } = read;
    // Only our own lines may set what is not in the contract of an import.
    let is_ours = is_ours(v.as_ref())?;
    let email = text("email", email.as_ref())?.ok_or("email is required")?;
    let email = Email::parse(email).ok_or("email must be a valid email address")?;
    let password_hash = text("password_hash", password_hash.as_ref())?.ok_or("password_hash is required")?;
    check_hash(password_hash, current).map_err(|reason| format!("password_hash {reason}"))?;
    let known_addresses = match known_addresses {
        Some(known) if is_ours => serde_json::from_value(known).map_err(|_| "known_addresses cannot be read")?,
        _ => KnownAddresses::default(),
    };
    let totp = match totp {
        Some(totp) if is_ours => serde_json::from_value(totp).map_err(|_| "totp cannot be read")?,
        _ => None,
    };
    let user = User {
        id: match text("id", id.as_ref())? {
            Some(id) => {
                Uuid::parse_str(id).map_err(|_| "id must be a UUID; without an id, the account gets a new one")?
            }
            None => Uuid::new_v4(),
        },
        email: email.as_str().to_owned(),
        created_at: time("created_at", created_at.as_ref())?.unwrap_or(now),
        password_hash: password_hash.to_owned(),
        known_addresses,
        password_change: None,
        email_verified_at: time("email_verified_at", email_verified_at.as_ref())?,
        totp,
    };
    Ok(NewUser { tag: email.tag(), user, unknown_fields: if is_ours { read.unknown_fields } else { Map::new() } })
}

fn is_ours(version: Option<&Value>) -> Result<bool, Reason> {
    match version.map(Value::as_u64) {
        None => Ok(false),
        Some(Some(VERSION..=STRICT_VERSION)) => Ok(true),
        Some(Some(0) | None) => Err("v must be a whole number from 1".into()),
        Some(Some(_)) => Err("a later version of auth-service wrote it".into()),
    }
}

fn text<'v>(name: &'static str, value: Option<&'v Value>) -> Result<Option<&'v str>, Reason> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{name} must be text").into()),
    }
}

fn time(name: &'static str, value: Option<&Value>) -> Result<Option<u64>, Reason> {
    let wrong = || format!("{name} must be a time between 1970 and 9999, such as 2026-11-23T06:52:51Z").into();
    text(name, value)?.map(|text| parse_time(text).ok_or_else(wrong)).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COST: HashCost = HashCost { memory_kib: 19_456, iterations: 2, parallelism: 1 };
    const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";

    fn line() -> Value {
        json!({"email": "Ada@Example.com", "password_hash": HASH})
    }

    fn with(name: &str, value: Value) -> Result<NewUser, Reason> {
        let mut line = line();
        line[name] = value;
        read(line.to_string().as_bytes(), 5, COST)
    }

    #[test]
    fn a_line_of_another_service_gives_only_the_fields_of_the_contract() {
        let mut line = line();
        line["name"] = json!("Ada");
        line["known_addresses"] = json!({"AAAAAAAAAAAAAAAAAAAAAA": 20_000});
        let new = read(line.to_string().as_bytes(), 5, COST).unwrap();
        assert_eq!((new.user.email.as_str(), new.user.created_at), ("Ada@Example.com", 5));
        assert_eq!(new.tag, Email::parse("ada@example.com").unwrap().tag());
        assert!(new.unknown_fields.is_empty() && new.user.known_addresses == KnownAddresses::default());
        let id = "6fe129f0-bb9d-4549-8835-14d0912932b0";
        assert_eq!(with("id", json!(id)).unwrap().user.id.to_string(), id);
        assert_eq!(with("created_at", json!("2023-11-14 22:13:20")).unwrap().user.created_at, 1_700_000_000);
        for absent in ["v", "id", "created_at"] {
            assert!(with(absent, Value::Null).is_ok(), "{absent}");
        }
    }

    #[test]
    fn a_wrong_line_has_a_reason_without_its_content() {
        for (name, value, reason) in [
            ("email", json!(null), "email is required"),
            ("email", json!(7), "email must be text"),
            ("email", json!("planted"), "email must be a valid email address"),
            ("password_hash", json!(null), "password_hash is required"),
            ("password_hash", json!(["planted"]), "password_hash must be text"),
            ("password_hash", json!("planted"), "password_hash "),
            ("id", json!("planted"), "id must be a UUID"),
            ("id", json!(7), "id must be text"),
            ("created_at", json!("planted"), "created_at must be a time"),
            ("v", json!(0), "v must be a whole number from 1"),
            ("v", json!("1"), "v must be a whole number from 1"),
            ("email_verified_at", json!("planted"), "email_verified_at must be a time"),
            ("email_verified_at", json!(true), "email_verified_at must be text"),
            ("v", json!(3), "a later version of auth-service wrote it"),
        ] {
            let refused = with(name, value).unwrap_err();
            assert!(refused.starts_with(reason) && !refused.contains("planted"), "{refused}");
        }
        let duplicate = line().to_string().replacen('{', "{\"email\":\"planted@b.example\",", 1);
        for (line, reason) in [
            ("planted", "it is not JSON"),
            ("{\"email\":\"planted", "it is not JSON"),
            ("{} planted", "it is not JSON"),
            ("[\"planted\"]", "it must be a JSON object that has each field once"),
            ("\"planted\"", "it must be a JSON object that has each field once"),
            ("null", "it must be a JSON object that has each field once"),
            (&duplicate, "it must be a JSON object that has each field once"),
        ] {
            assert_eq!(read(line.as_bytes(), 5, COST).unwrap_err(), reason, "{line}");
        }
        assert_eq!(read(b"{\"email\":\"\xff\"}", 5, COST).unwrap_err(), "it is not JSON");
    }
}
