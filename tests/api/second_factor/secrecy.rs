//! What a reader of Redis and of the log learns about a second factor.

use auth_service_records::secret::{Secret, Secrets};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rstest::rstest;
use serde_json::Value;

use crate::support::{
    ACCESS_SECRET, Authenticator, Keys, PASSWORD, REFRESH_SECRET, RedisServer, SECRETS, Session,
    Store::{self, Embedded, Redis},
    TestApp, text, wait_until,
};

/// The record of a user, as a reader of Redis sees it.
pub(super) fn record(redis: &RedisServer, session: &Session) -> Value {
    serde_json::from_str(&redis.command::<String>(&["GET", &Keys::of(session).user()])).unwrap()
}

/// The bytes of a secret in base32.
fn bytes(base32: &str) -> Vec<u8> {
    let digits = base32.bytes().map(|b| u128::from(if b < b'A' { b - b'2' + 26 } else { b - b'A' }));
    let digits: Vec<_> = digits.collect();
    // Eight characters are five bytes.
    digits
        .chunks(8)
        .flat_map(|part| part.iter().fold(0, |number, digit| number << 5 | digit).to_be_bytes()[11..].to_vec())
        .collect()
}

#[test]
fn redis_holds_neither_the_secret_nor_a_code() {
    // Without compression, the test can find a text in the output of DUMP.
    let redis = RedisServer::start(&["--rdbcompression", "no"]);
    let app = TestApp::start_on(&redis.url(), &SECRETS);
    let waiting = app.new_session();
    let secret = text(&app.start_totp(&waiting.access_token, PASSWORD), "secret");
    let (session, authenticator) = app.account_with_totp();
    let mfa_token = app.mfa_token(&session.email);
    let codes = authenticator.recovery_codes.iter().flat_map(|code| [code.clone(), code.replace('-', "")]);
    let mut planted: Vec<Vec<u8>> = codes.map(String::into_bytes).collect();
    for secret in [&secret, &authenticator.secret] {
        let bytes = bytes(secret);
        assert_eq!(bytes.len(), 20);
        planted.extend([secret.clone().into_bytes(), URL_SAFE_NO_PAD.encode(&bytes).into_bytes(), bytes]);
    }
    planted.push(mfa_token.split('.').nth(2).unwrap().to_owned().into_bytes());
    let keys = redis.keys();
    assert!(keys.iter().any(|key| key.ends_with(":p:totp")), "{keys:?}");
    for key in keys {
        let value: Vec<u8> = redis.command(&["DUMP", &key]);
        for text in &planted {
            assert!(!value.windows(text.len()).any(|window| window == text), "{key} holds {text:?}");
        }
    }
    // The key is not the one that seals signing keys, and needs the secret of the server.
    let record = record(&redis, &session);
    let sealed = record["totp"]["secret"].as_str().unwrap();
    let user_id = record["id"].as_str().unwrap().parse().unwrap();
    let keys = |access: &str| {
        let (access, refresh) = (Secret::new(access.to_owned()), Secret::new(REFRESH_SECRET.to_owned()));
        Secrets { access, refresh, access_previous: None, refresh_previous: None }
    };
    assert_eq!(keys(ACCESS_SECRET).factor_keys().open(user_id, sealed).unwrap().secret, bytes(&authenticator.secret));
    assert!(keys(&ACCESS_SECRET.to_uppercase()).factor_keys().open(user_id, sealed).is_none());
    let raw = URL_SAFE_NO_PAD.decode(sealed).unwrap();
    assert_eq!(keys(ACCESS_SECRET).sealing_keys()[0].open(&raw, user_id.as_bytes()), None);
}

#[test]
fn a_second_factor_of_another_account_opens_nothing() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let [(own, authenticator), (other, _)] = [(); 2].map(|()| app.account_with_totp());
    let mut changed = record(&redis, &other);
    changed["totp"] = record(&redis, &own)["totp"].clone();
    let () = redis.command(&["SET", &Keys::of(&other).user(), &changed.to_string()]);
    let mfa_token = app.mfa_token(&other.email);
    app.authenticate_totp(&mfa_token, &authenticator.code()).assert_error(500, "internal_error");
    app.authenticate_totp(&mfa_token, authenticator.recovery_code()).assert_error(401, "invalid_code");
}

#[rstest]
fn the_log_shows_the_events_and_no_secret(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[("AUDIT_EMAILS", "on"), ("RUST_LOG", "trace")]);
    let (session, authenticator) = app.account_with_totp();
    let wrong = authenticator.wrong_code();
    let mfa_token = app.mfa_token(&session.email);
    app.authenticate_totp(&mfa_token, &wrong).assert_error(401, "invalid_code");
    let used = [authenticator.code(), authenticator.recovery_code().to_owned(), authenticator.code()];
    for code in &used[..2] {
        assert_eq!(app.authenticate_totp(&mfa_token, code).status, 200);
    }
    assert_eq!(app.remove_totp(&session.access_token, PASSWORD, &used[2]).status, 200);
    let user_id = crate::support::claims(&session.access_token)["sub"].clone();
    let events = || -> Vec<String> {
        let lines = app.log().into_iter().filter(|line| line["target"] == "audit" && line["user_id"] == user_id);
        lines.map(|line| line["event"].as_str().unwrap().to_owned()).collect()
    };
    let due = [
        "signed_up",
        "signed_in",
        "totp_enabled",
        "second_factor_required",
        "second_factor_failed",
        "signed_in",
        "signed_in",
        "totp_disabled",
    ];
    wait_until("all events are logged", || events().len() >= due.len());
    // A late code at the set-up is one more failure.
    let mut found = events();
    found.dedup_by(|next, event| next == event && next == "signed_in");
    let mut due: Vec<_> = due.map(str::to_owned).to_vec();
    due.dedup();
    found.retain(|event| event != "second_factor_failed");
    due.retain(|event| event != "second_factor_failed");
    assert_eq!(found, due);
    let output = app.output();
    let secrets = authenticator.recovery_codes.iter().chain([&authenticator.secret, &mfa_token]);
    for secret in secrets {
        assert!(!output.contains(secret.as_str()), "{secret} is in the log");
    }
}

#[test]
fn a_rotation_of_the_secret_keeps_the_second_factor_if_it_is_sealed_again() {
    const NEW: &str = "a new access secret of the tests, 32+ bytes";
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let with = |access: &str, previous: Option<&str>| {
        let mut settings = vec![("AUTH_SECRET_KEY", access), ("REFRESH_SECRET_KEY", REFRESH_SECRET)];
        settings.extend(previous.map(|previous| ("AUTH_SECRET_KEY_PREVIOUS", previous)));
        TestApp::start_on(&url, &settings)
    };
    let old = with(ACCESS_SECRET, None);
    let [signs_in, waits] = [(); 2].map(|()| old.account_with_totp());
    drop(old);
    let both = with(NEW, Some(ACCESS_SECRET));
    let sealed = |session: &Session| record(&redis, session)["totp"]["secret"].clone();
    let before = [sealed(&signs_in.0), sealed(&waits.0)];
    // A sign-in seals the secret again, and so does the command.
    both.sign_in_with(&signs_in.0.email, &signs_in.1.code());
    assert!(sealed(&signs_in.0) != before[0] && sealed(&waits.0) == before[1]);
    let resealed = both.cli(&["secrets", "reseal"]);
    let said = String::from_utf8(resealed.stdout).unwrap();
    assert_eq!(said, "Second factors that need only AUTH_SECRET_KEY: 2; sealed again: 1\n");
    assert_ne!(sealed(&waits.0), before[1]);
    drop(both);
    let new = with(NEW, None);
    new.sign_in_with(&waits.0.email, &waits.1.code());
    new.sign_in_with(&signs_in.0.email, &signs_in.1.code());

    // Without the command, only a recovery code opens the account, and the operator is told.
    let session = new.new_session();
    let lost: Authenticator = new.enable_totp(&session.access_token);
    drop(new);
    let () = redis.command(&["DEL", "as:secrets"]);
    let other = with("another access secret of the tests, 32+ bytes", None);
    let mfa_token = other.mfa_token(&session.email);
    other.authenticate_totp(&mfa_token, &lost.code()).assert_error(500, "internal_error");
    assert_eq!(other.authenticate_totp(&mfa_token, lost.recovery_code()).status, 200);
    let refused = other.cli(&["secrets", "reseal"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("3 second factors cannot be opened with AUTH_SECRET_KEY"), "{said}");
}
