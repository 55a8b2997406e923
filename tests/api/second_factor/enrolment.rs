//! Enabling and removing a second factor.

use std::collections::HashSet;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Authenticator, PASSWORD, RedisServer,
    Store::{self, Embedded, Redis},
    TestApp, replicas, tag, text,
};

#[rstest]
fn a_second_factor_counts_from_its_confirmation_to_its_removal(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[("ISSUER", "https://auth.example.com")]);
    let (app, other) = (&replicas[0], replicas.last().unwrap());
    let session = app.new_session();
    let token = &session.access_token;
    app.confirm_totp(token, "081804").assert_error(404, "totp_not_started");
    app.remove_totp(token, PASSWORD, "081804").assert_error(404, "totp_not_enabled");
    app.start_totp(token, "wrong password").assert_error(403, "wrong_password");
    let started = app.start_totp(token, PASSWORD);
    let secret = text(&started, "secret");
    assert_eq!(secret.len(), 32, "160 bits in base32");
    let account = session.email.replace('@', "%40");
    let url = format!("otpauth://totp/auth.example.com:{account}?secret={secret}&issuer=auth.example.com");
    let result = "Confirm the second factor with a code of the app";
    started.assert(201, &json!({"secret": secret, "otpauth_url": url, "expires_in": 600, "result": result}));

    let authenticator = Authenticator::new(&secret);
    other.confirm_totp(token, &authenticator.wrong_code()).assert_error(403, "wrong_code");
    other.confirm_totp(token, "MFRG-GZDF-MZTW-Q2LK").assert_error(403, "wrong_code");
    assert_eq!(app.authenticate(&session.email, PASSWORD).status, 200, "not confirmed yet");
    let confirmed = other.confirm_totp(token, &authenticator.code_in(0));
    let codes = confirmed.json()["recovery_codes"].clone();
    let result = "Second factor enabled, keep the recovery codes";
    confirmed.assert(200, &json!({"recovery_codes": codes, "result": result}));
    let codes: HashSet<&str> = codes.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(codes.len(), 10);
    assert!(codes.iter().all(|code| code.len() == 19 && code.split('-').all(|group| group.len() == 4)), "{codes:?}");
    session.assert_lives(&replicas);
    other.confirm_totp(token, &authenticator.code_in(1)).assert_error(409, "totp_already_enabled");
    other.start_totp(token, PASSWORD).assert_error(409, "totp_already_enabled");
    let mfa_token = app.mfa_token(&session.email);

    let code = authenticator.code_in(1);
    app.remove_totp(token, "wrong password", &code).assert_error(403, "wrong_password");
    app.remove_totp(token, PASSWORD, &authenticator.wrong_code()).assert_error(403, "wrong_code");
    app.mfa_token(&session.email);
    other.remove_totp(token, PASSWORD, &code).assert(200, &json!({"result": "Second factor removed"}));
    other.remove_totp(token, PASSWORD, &code).assert_error(404, "totp_not_enabled");
    app.authenticate_totp(&mfa_token, &authenticator.code_in(1)).assert_error(401, "invalid_mfa_token");
    assert_eq!(app.authenticate(&session.email, PASSWORD).status, 200);
    session.assert_lives(&replicas);
}

/// A page of settings needs this. The profile of an account without a second factor is that of the contract.
#[rstest]
fn the_profile_of_every_session_tells_of_a_second_factor(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[]);
    let (app, other) = (&replicas[0], replicas.last().unwrap());
    let session = app.new_session();
    let another = other.session_of(&session.email);
    let assert_shown = |expected: Option<bool>| {
        for (replica, session) in replicas.iter().flat_map(|replica| [(replica, &session), (replica, &another)]) {
            let profile = replica.current_user(&session.access_token).json();
            assert_eq!(profile["data"].get("totp_enabled").and_then(Value::as_bool), expected, "{profile}");
            assert_eq!(profile["data"].as_object().unwrap().len(), if expected.is_some() { 4 } else { 3 }, "{profile}");
        }
    };
    assert_shown(None);
    let authenticator = other.enable_totp(&session.access_token);
    assert_shown(Some(true));
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    let signed_in = app.authenticate_totp(&app.mfa_token(&session.email), &authenticator.code());
    let token = text(&signed_in, "access_token");
    assert_eq!(other.current_user(&token).json()["data"]["totp_enabled"], true);
    assert_eq!(app.remove_totp(&token, PASSWORD, authenticator.recovery_code()).status, 200);
    let profile = other.current_user(&token).json();
    assert!(profile["data"].get("totp_enabled").is_none(), "{profile}");
}

#[rstest]
fn a_recovery_code_removes_the_second_factor_of_a_lost_app(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (session, authenticator) = app.account_with_totp();
    let code = authenticator.recovery_code();
    assert_eq!(app.remove_totp(&session.access_token, PASSWORD, &code.to_lowercase()).status, 200);
    // The codes of the former factor say nothing about a new one.
    let another = app.enable_totp(&session.access_token);
    let mfa_token = app.mfa_token(&session.email);
    app.authenticate_totp(&mfa_token, authenticator.recovery_code()).assert_error(401, "invalid_code");
    assert_eq!(app.authenticate_totp(&mfa_token, another.recovery_code()).status, 200);
}

#[rstest]
fn a_new_secret_replaces_the_one_that_waits(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let start = || Authenticator::new(&text(&app.start_totp(&session.access_token, PASSWORD), "secret"));
    let (first, second) = (start(), start());
    assert_ne!(first.secret, second.secret);
    app.confirm_totp(&session.access_token, &first.code_in(0)).assert_error(403, "wrong_code");
    assert_eq!(app.confirm_totp(&session.access_token, &second.code_in(0)).status, 200);
}

#[rstest]
fn a_changed_password_ends_the_set_up(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let waiting = Authenticator::new(&text(&app.start_totp(&session.access_token, PASSWORD), "secret"));
    let changed = app.change_password(&session.access_token, PASSWORD, "another password");
    let token = text(&changed, "access_token");
    app.confirm_totp(&token, &waiting.code_in(0)).assert_error(404, "totp_not_started");
}

#[test]
fn a_secret_that_waits_has_a_native_ttl_and_goes_with_its_confirmation_or_the_account() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let [confirmed, deleted] = [(); 2].map(|()| app.new_session());
    for session in [&confirmed, &deleted] {
        let secret = text(&app.start_totp(&session.access_token, PASSWORD), "secret");
        let key = format!("as:{{{}}}:p:totp", tag(&session.email));
        redis.assert_life(&key, 600);
        if session.email == confirmed.email {
            let code = Authenticator::new(&secret).code_in(0);
            assert_eq!(app.confirm_totp(&session.access_token, &code).status, 200);
        } else {
            assert_eq!(app.delete_user(&session.access_token, PASSWORD).status, 200);
        }
        assert_eq!(redis.life(&key), -2);
    }
}

#[rstest]
fn a_text_that_is_no_code_is_refused_and_costs_no_attempt(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (session, authenticator) = app.account_with_totp();
    let mfa_token = app.mfa_token(&session.email);
    let message = "must be 6 digits, or a recovery code of 16 letters and digits";
    for code in [json!("12345"), json!("1234567"), json!("abcdef"), json!(""), json!("AAAA-AAAA-AAAA-AAA1")] {
        for (path, body) in [
            ("/authenticate/totp", json!({"mfa_token": mfa_token, "code": code})),
            ("/user/totp/confirm", json!({"code": code})),
        ] {
            let answer = app.send_as(&session.access_token, "POST", path, Some(&body));
            answer.assert_error(400, "validation_failed");
            assert_eq!(answer.json()["fields"], json!([{"field": "code", "message": message}]));
        }
    }
    let answer = app.send_json("POST", "/authenticate/totp", &json!({"code": 123_456}));
    let fields = [("mfa_token", "is required"), ("code", "must be text")];
    let fields: Vec<_> = fields.iter().map(|(field, message)| json!({"field": field, "message": message})).collect();
    assert_eq!((answer.status, &answer.json()["fields"]), (400, &json!(fields)), "{answer:?}");
    // With blanks, as apps show the code.
    let code = authenticator.code();
    let spaced = format!(" {} {}", &code[..3], &code[3..]);
    assert_eq!(app.authenticate_totp(&mfa_token, &spaced).status, 200);
}

#[rstest]
fn a_request_without_a_live_session_is_refused(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (session, authenticator) = app.account_with_totp();
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    let token = &session.access_token;
    app.start_totp(token, PASSWORD).assert_error(401, "invalid_token");
    app.confirm_totp(token, &authenticator.code_in(0)).assert_error(401, "invalid_token");
    app.remove_totp(token, PASSWORD, &authenticator.code_in(1)).assert_error(401, "invalid_token");
    for (method, path) in [("POST", "/user/totp"), ("POST", "/user/totp/confirm"), ("DELETE", "/user/totp")] {
        app.send_json(method, path, &json!({"password": PASSWORD, "code": "081804"}))
            .assert_error(401, "token_missing");
    }
    app.mfa_token(&session.email);
}
