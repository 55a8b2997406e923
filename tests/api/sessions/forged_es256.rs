//! Forged ES256 access tokens, signed with the server's own key. The tests of `crates/token` try more forms.

use auth_service_token::SigningKey;
use ring::hmac;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Data, REFRESH_SECRET, SECRETS, Session,
    Store::{self, Embedded, Redis},
    TestApp, assert_refusal, claims, encode, known_signing_key, message, sign, sign_with_known_key, unix_seconds,
};

/// Starts `count` servers on the same data, which sign with the known key.
fn start<const N: usize>(store: Store) -> ([TestApp; N], tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let own = sign_with_known_key(directory.path());
    let own = own.each_ref().map(|(name, value)| (*name, value.as_str()));
    let data = Data::new(store);
    (std::array::from_fn(|_| data.start(&[&SECRETS[..], &own].concat())), directory)
}

fn header() -> String {
    format!(r#"{{"typ":"at+jwt","alg":"ES256","kid":"{}"}}"#, known_signing_key().verifying_key().kid())
}

fn es256(header: &str, payload: &str) -> String {
    signed_by(known_signing_key(), &message(header, payload))
}

fn signed_by(key: &SigningKey, message: &str) -> String {
    format!("{message}.{}", encode(key.sign(message.as_bytes()).unwrap()))
}

/// Asserts that a handmade copy of the token is accepted, and returns its claims.
#[track_caller]
fn genuine(app: &TestApp, session: &Session) -> Value {
    let payload = claims(&session.access_token);
    assert_eq!(app.current_user(&es256(&header(), &payload.to_string())).status, 200);
    payload
}

#[track_caller]
fn assert_refused(app: &TestApp, token: &str) {
    assert_refusal(&app.current_user(token), token, "invalid_token", "forged");
}

#[rstest]
fn another_header_or_key_is_refused(#[values(Redis, Embedded)] store: Store) {
    let ([app], _directory) = start(store);
    let session = app.new_session();
    let payload = genuine(&app, &session).to_string();
    let kid = known_signing_key().verifying_key().kid();
    for alg in ["none", "HS256", "RS256", "ES384", "EdDSA", ""] {
        let header = format!(r#"{{"typ":"at+jwt","alg":"{alg}","kid":"{kid}"}}"#);
        assert_refused(&app, &es256(&header, &payload));
        assert_refused(&app, &format!("{}.", message(&header, &payload)));
    }
    let attacker = SigningKey::generate().unwrap().0;
    let attackers_kid = attacker.verifying_key().kid().to_string();
    for kid in ["1", "../../../../dev/null", "x' UNION SELECT 'secret'; --", &attackers_kid] {
        let header = format!(r#"{{"typ":"at+jwt","alg":"ES256","kid":"{kid}"}}"#);
        assert_refused(&app, &es256(&header, &payload));
        assert_refused(&app, &signed_by(&attacker, &message(&header, &payload)));
    }
    assert_refused(&app, &signed_by(&attacker, &message(&header(), &payload)));
    for more in [
        r#""crit":["exp"]"#,
        r#""b64":false,"crit":["b64"]"#,
        r#""jku":"http://127.0.0.1:1/keys""#,
        r#""x5u":"http://127.0.0.1:1/certificate""#,
        r#""jwk":{"kty":"EC"}"#,
        r#""alg":"ES256""#,
    ] {
        assert_refused(&app, &es256(&header().replace('}', &format!(",{more}}}")), &payload));
    }
    assert_refused(&app, &es256(&format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{kid}"}}"#), &payload));
    assert_refused(&app, &es256(&header().replace("at+jwt", "rt+jwt"), &payload));
    let huge = es256(&header().replace(kid.as_str(), &"k".repeat(1_000_000)), &payload);
    assert_eq!(app.current_user(&huge).status, 431);
    session.assert_lives([&app]);
}

#[rstest]
fn the_published_key_is_not_a_secret_of_hs256(#[values(Redis, Embedded)] store: Store) {
    let ([app], _directory) = start(store);
    let session = app.new_session();
    let payload = genuine(&app, &session).to_string();
    let published = app.send("GET", "/.well-known/jwks.json", &[], None);
    let jwk = published.json()["keys"][0].clone();
    let x = jwk["x"].as_str().unwrap().to_owned();
    for secret in [&published.body, &jwk.to_string(), &x, ""] {
        for header in [r#"{"typ":"at+jwt","alg":"HS256"}"#, &header()] {
            let message = message(header, &payload);
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            assert_refused(&app, &format!("{message}.{}", encode(hmac::sign(&key, message.as_bytes()))));
        }
    }
    session.assert_lives([&app]);
}

#[rstest]
fn a_signature_of_another_form_is_refused(#[values(Redis, Embedded)] store: Store) {
    let ([app], _directory) = start(store);
    let session = app.new_session();
    let message = message(&header(), &genuine(&app, &session).to_string());
    let signature = known_signing_key().sign(message.as_bytes()).unwrap();
    let (r, s) = signature.split_at(32);
    for bad in [
        &signature[..63],
        &[&signature[..], &[0]].concat(),
        &[&[0; 32], s].concat(),
        &[r, &[0; 32]].concat(),
        &[s, r].concat(),
        &[&[0x30, 68, 2, 32], r, &[2, 32], s].concat(),
        &[],
    ] {
        assert_refused(&app, &format!("{message}.{}", encode(bad)));
    }
    for end in ["=", "==", ".", ".AA", "%2E"] {
        assert_refused(&app, &format!("{message}.{}{end}", encode(signature)));
    }
    session.assert_lives([&app]);
}

#[rstest]
fn other_parties_missing_claims_and_past_lives_are_refused(#[values(Redis, Embedded)] store: Store) {
    let ([app], _directory) = start(store);
    let session = app.new_session();
    let genuine = genuine(&app, &session);
    let with = |name: &str, value: Value| {
        let mut payload = genuine.clone();
        payload[name] = value;
        es256(&header(), &payload.to_string())
    };
    for name in ["iss", "aud"] {
        for value in [json!("another"), json!(["auth-service"]), json!(null), json!("AUTH-SERVICE")] {
            assert_refused(&app, &with(name, value));
        }
    }
    for name in ["iss", "aud", "sub", "tag", "sid", "jti", "iat", "exp"] {
        let mut payload = genuine.clone();
        payload.as_object_mut().unwrap().remove(name).unwrap();
        assert_refused(&app, &es256(&header(), &payload.to_string()));
    }
    let expired = with("exp", json!(unix_seconds() - 6));
    for _ in 0..2 {
        assert_refusal(&app.current_user(&expired), &expired, "token_expired", "expired");
    }
    // The entry still exists, so the leeway applies.
    assert_eq!(app.current_user(&with("exp", json!(unix_seconds() - 1))).status, 200);
    // A refresh token is never one of ES256.
    let refresh = claims(&session.refresh_token).to_string();
    let forged = es256(&header().replace("at+jwt", "rt+jwt"), &refresh);
    app.refresh_access_token(&forged).assert_error(401, "invalid_token");
    let own = sign(r#"{"typ":"rt+jwt","alg":"HS256"}"#, &refresh, REFRESH_SECRET);
    assert_eq!(app.refresh_access_token(&own).status, 200);
    session.assert_lives([&app]);
}

#[test]
fn a_removal_holds_on_the_next_request_of_every_replica_that_has_seen_the_token() {
    let (apps, _directory) = start::<2>(Redis);
    for remover in [0, 1] {
        let session = apps[0].new_session();
        // Each worker of each replica has its own map of seen tokens.
        for _ in 0..8 {
            session.assert_lives(&apps);
        }
        let body = json!({"email": session.email}).to_string();
        assert_eq!(apps[remover].send("DELETE", "/access-token", &[], Some(&body)).status, 200);
        session.assert_dead(&apps);
    }
}
