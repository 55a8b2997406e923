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
/// The token of a link that resets a password.
pub(super) const RESET_TOKEN: &str = "reset_Zx3Vn0pHq9c2tL8yWm4KdAp0Jm5vQy7Rk2Xc9Tn4Wb8Hs1Lp6Fg3Dz0Ue5Ia7OvQc";
/// The token of a link that verifies an email.
pub(super) const VERIFY_TOKEN: &str = "verify_Zx3Vn0pHq9c2tL8yWm4KdAm4Yt8Kp1Zs6Wd3Qx9Vb2Nc7Rf5Hj0Ug8Lo3Ea6TiXsN";
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
