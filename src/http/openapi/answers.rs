//! The schemas of answers.

use auth_service_records::error::Outage;
use serde_json::{Value, json};

use super::parts::{described, id, object, reference, uuid};
use crate::config::{Config, EmailVerification};

/// What the server says when a link that verifies an email was requested.
pub(super) const VERIFICATION: &str = "If the email is not verified yet, a mail is on its way";
/// What the server says when a link that changes an email was requested.
pub(super) const CHANGE: &str =
    "A mail is on its way to the new email, which replaces the current email when the link is opened";

pub(super) fn schemas(config: &Config) -> Value {
    let mut openapi =
        object(&json!({"openapi": {"const": "3.1.0"}, "info": {"type": "object"}, "paths": {"type": "object"}}));
    openapi["additionalProperties"] = true.into();
    json!({
        "Tokens": tokens(),
        "RefreshedTokens": refreshed_tokens(config.rotation),
        "Profile": profile(config),
        "VerificationRequested": with_token(object(&json!({"result": {"const": VERIFICATION}}))),
        "EmailChangeRequested": with_token(object(&json!({"result": {"const": CHANGE}}))),
        "Confirmed": object(&json!({"result": {"enum": ["Email verified", "Email changed, all sessions ended"]}})),
        "Sessions": sessions(),
        "Session": session(),
        "SessionsEnded": with_token(object(&json!({"result": {"const": "Sessions ended"}}))),
        "TotpStarted": totp_started(),
        "TotpConfirmed": totp_confirmed(),
        "TotpRemoved": with_token(object(&json!({"result": {"const": "Second factor removed"}}))),
        "Introspection": introspection(config),
        "Revocations": revocations(),
        "KeySet": object(&json!({"keys": {"type": "array", "items": key()}})),
        "Metadata": metadata(),
        "OpenApi": openapi,
        "Readiness": readiness(),
    })
}

fn tokens() -> Value {
    object(&json!({
        "access_token": access_token(),
        "refresh_token": described("Gives new access tokens at `/refresh-access-token`."),
        "token_type": {"const": "Bearer"},
        "expires_in": number("The lifetime of the access token, in seconds."),
        "refresh_expires_in": number("The lifetime of the refresh token, in seconds."),
        "result": {"const": "Authentication successful"},
    }))
}

fn refreshed_tokens(rotation: bool) -> Value {
    let mut properties = json!({
        "access_token": access_token(),
        "token_type": {"const": "Bearer"},
        "expires_in": number("The lifetime of the access token, in seconds."),
        "result": {"const": "Access token refreshed successfully"},
    });
    if rotation {
        properties["refresh_token"] = described("Replaces the refresh token of the request, which is now spent.");
        properties["refresh_expires_in"] = number("The lifetime of the new refresh token, in seconds.");
    }
    object(&properties)
}

fn profile(config: &Config) -> Value {
    let mut data = json!({
        "email": described("In the spelling of the sign-up."),
        "id": uuid(),
        "created_at": time(),
    });
    if shows_email_verified(config) {
        data["email_verified"] =
            json!({"type": "boolean", "description": "Whether the owner has shown that the email is theirs."});
    }
    let mut data = object(&data);
    data["properties"]["totp_enabled"] =
        json!({"const": true, "description": "The account has a second factor. Absent without one."});
    let result = json!({"const": "User profile fetched successfully"});
    with_token(object(&json!({"data": data, "result": result, "status": {"const": 200}})))
}

fn sessions() -> Value {
    let mut sessions = object(&json!({
        "data": {"type": "array", "items": reference("Session")},
        "result": {"const": "Sessions fetched successfully"},
    }));
    sessions["properties"]["next"] = id();
    sessions["properties"]["next"]["description"] = "The value of `after` for the next page, if there is one.".into();
    with_token(sessions)
}

fn session() -> Value {
    object(&json!({
        "id": id(),
        "created_at": time(),
        "last_used_at": time(),
        "ip": described("The address of the client at the sign-in."),
        "user_agent": described("The `User-Agent` of the sign-in."),
        "current": {"type": "boolean", "description": "Whether this is the session of the request."},
    }))
}

fn totp_started() -> Value {
    with_token(object(&json!({
        "secret": {"type": "string", "pattern": "^[A-Z2-7]{32}$", "description": "In base32, for typing into the app."},
        "otpauth_url": described("The same as a URL, for a QR code."),
        "expires_in": number("How long the confirmation may take, in seconds."),
        "result": {"const": "Confirm the second factor with a code of the app"},
    })))
}

fn totp_confirmed() -> Value {
    with_token(object(&json!({
        "recovery_codes": {"type": "array", "items": {"type": "string"}, "description": "Each opens one session."},
        "result": {"const": "Second factor enabled, keep the recovery codes"},
    })))
}

/// Whether the profile says if the email is verified.
pub(super) fn shows_email_verified(config: &Config) -> bool {
    config.mail.as_ref().is_some_and(|mail| mail.verification != EmailVerification::Off)
}

/// RFC 7662, section 2.2.
fn introspection(config: &Config) -> Value {
    let mut active = object(&json!({
        "active": {"const": true},
        "iss": described("The issuer."),
        "aud": described("The audience."),
        "sub": uuid(),
        "sid": id(),
        "jti": id(),
        "email": described("In the spelling of the sign-up."),
        "iat": number("Seconds since the Unix epoch."),
        "exp": number("Seconds since the Unix epoch."),
        "client_id": {"type": "string"},
        "token_type": {"const": "Bearer"},
    }));
    if shows_email_verified(config) {
        active["properties"]["email_verified"] = json!({"type": "boolean"});
    }
    active["properties"]["eid"] = id();
    active["properties"]["amr"] = json!({
        "type": "array",
        "items": {"enum": ["pwd", "otp", "mfa"]},
        "description": "How the user signed in (RFC 8176). A sign-in with a second factor has `mfa`.",
    });
    active["properties"]["auth_time"] = number("When the user signed in, in seconds since the Unix epoch.");
    json!({"oneOf": [active, object(&json!({"active": {"const": false}}))]})
}

fn revocations() -> Value {
    let revoked = "A token is revoked if its `eid` or `sid`, or the `kid` in its header, is in the list.";
    object(&json!({
        "cursor": described("Send this cursor as `after` in the next request."),
        "age_ms": number("The list has every id that was revoked at least this many milliseconds ago."),
        "reset": {"type": "boolean", "description": "Whether `revoked` is the whole list, which replaces your list."},
        "revoked": {"type": "array", "items": {"type": "string"}, "description": revoked},
    }))
}

/// RFC 7517, section 4, and RFC 7518, section 6.2.
fn key() -> Value {
    let coordinate = json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"});
    object(&json!({
        "kty": {"const": "EC"},
        "crv": {"const": "P-256"},
        "x": coordinate,
        "y": coordinate,
        "use": {"const": "sig"},
        "alg": {"const": "ES256"},
        "kid": coordinate,
    }))
}

/// RFC 8414, section 2.
fn metadata() -> Value {
    let address = json!({"type": "string", "format": "uri"});
    let names = json!({"type": "array", "items": {"type": "string"}});
    object(&json!({
        "issuer": address,
        "jwks_uri": address,
        "introspection_endpoint": address,
        "introspection_endpoint_auth_methods_supported": names,
        "revocation_endpoint": address,
        "revocation_endpoint_auth_methods_supported": names,
        "token_endpoint": address,
        "token_endpoint_auth_methods_supported": names,
        "grant_types_supported": names,
        "response_types_supported": names,
    }))
}

fn readiness() -> Value {
    let of_writes = [Outage::OutOfMemory, Outage::DiskFailed, Outage::NotReplicated, Outage::NotPermitted];
    let reads_only = object(&json!({
        "result": {"const": "Ready for reads only"},
        "error": described("The sentence in the answers to writes."),
        "code": {"type": "string", "enum": of_writes.map(Outage::code)},
    }));
    json!({"oneOf": [object(&json!({"result": {"const": "Ready"}})), reads_only]})
}

/// Adds the optional access token that replaces that of the request.
fn with_token(mut answer: Value) -> Value {
    answer["properties"]["access_token"] = described("The access token that replaces that of the request, if any.");
    answer
}

fn access_token() -> Value {
    described("For protected operations.")
}

fn number(description: &str) -> Value {
    json!({"type": "integer", "minimum": 0, "description": description})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}
