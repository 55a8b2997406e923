//! Samples for examples, and small parts of schemas.

use serde_json::{Map, Value, json};

/// A shortened access token.
pub(super) const ACCESS_TOKEN: &str =
    "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3OTU5MDMyNjB9.c2hvcnRlbmVkIGZvciB0aGlzIGV4YW1wbGU";
/// A shortened refresh token.
pub(super) const REFRESH_TOKEN: &str =
    "eyJ0eXAiOiJydCtqd3QiLCJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3OTU5MDMzMjB9.c2hvcnRlbmVkIGZvciB0aGlzIGV4YW1wbGU";
pub(super) const EMAIL: &str = "ada@example.com";
pub(super) const PASSWORD: &str = "correct horse battery staple";
/// A shortened mfa token.
pub(super) const MFA_TOKEN: &str =
    "eyJ0eXAiOiJtZmErand0IiwiYWxnIjoiSFMyNTYifQ.eyJleHAiOjE3OTU5MDM1MDB9.c2hvcnRlbmVkIGZvciB0aGlzIGV4YW1wbGU";
/// A code of an authenticator app.
pub(super) const CODE: &str = "081804";
pub(super) const RECOVERY_CODE: &str = "MFRG-GZDF-MZTW-Q2LK";
/// The secret of an authenticator app.
pub(super) const TOTP_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
/// The id of a session.
pub(super) const ID: &str = "5Yx0QG8mZ1r3v7nE2kD9aw";
pub(super) const USER_ID: &str = "8c5bb1a4-9d9c-4a54-9d1f-0d4f0f4b3b2b";

/// An object that always has these properties.
pub(super) fn object(properties: &Value) -> Value {
    let names: Vec<_> = properties.as_object().into_iter().flat_map(Map::keys).collect();
    json!({"type": "object", "required": names, "properties": properties})
}

pub(super) fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

/// A text.
pub(super) fn described(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

/// A random id, for example of a session.
pub(super) fn id() -> Value {
    json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{22}$"})
}

pub(super) fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}
