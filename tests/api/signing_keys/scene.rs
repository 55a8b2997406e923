//! Replicas that sign with ES256, and what others see of their keys.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::support::TestApp;

pub(super) const ES256: (&str, &str) = ("ACCESS_TOKEN_ALGORITHM", "ES256");
/// The shortest lead, so that a rotation takes seconds.
pub(super) const SHORT_LEAD: (&str, &str) = ("SIGNING_KEY_LEAD_SECONDS", "2");
pub(super) const KEY: &str = "as:keys";

/// The header of a token.
pub(super) fn header(token: &str) -> Value {
    let header = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

/// The id of the key that signed a token.
#[track_caller]
pub(super) fn kid(token: &str) -> String {
    let header = header(token);
    assert_eq!(header["alg"], "ES256", "{header}");
    header["kid"].as_str().unwrap().to_owned()
}

/// The ids of the published keys.
#[track_caller]
pub(super) fn published(app: &TestApp) -> Vec<String> {
    let answer = app.send("GET", "/.well-known/jwks.json", &[], None);
    assert_eq!(answer.status, 200, "{answer:?}");
    let keys = answer.json()["keys"].as_array().unwrap().clone();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Runs `auth-service keys`. Returns the exit status and the JSON.
#[track_caller]
pub(super) fn keys(app: &TestApp, words: &[&str]) -> (i32, Value) {
    let output = app.cli(&[&["keys"], words, &["--json"]].concat());
    let json = serde_json::from_slice(&output.stdout);
    (output.status.code().unwrap(), json.unwrap_or_else(|error| panic!("{error}: {output:?}")))
}

/// The keys that `auth-service keys list` prints, as pairs of id and state.
#[track_caller]
pub(super) fn listed(app: &TestApp) -> Vec<(String, String)> {
    let (code, json) = keys(app, &["list"]);
    assert_eq!(code, 0, "{json}");
    let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    json["keys"].as_array().unwrap().iter().map(|key| (text(key, "kid"), text(key, "state"))).collect()
}

/// The key that signs new tokens of this account.
#[track_caller]
pub(super) fn signs_with(app: &TestApp, email: &str) -> String {
    kid(&app.session_of(email).access_token)
}
