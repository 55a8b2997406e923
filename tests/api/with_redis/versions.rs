//! Values that a later version of the server has written: fields that this version does not know, and values that this
//! version must not change.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Keys, PASSWORD, PROXY, RedisServer, TestApp, unique_address, wait_until};

/// A field of a later version.
const UNKNOWN: &str = "device";

fn get(redis: &RedisServer, key: &str) -> Value {
    serde_json::from_str(&redis.command::<String>(&["GET", key])).unwrap()
}

/// Replaces a JSON value, with the same TTL.
fn set(redis: &RedisServer, key: &str, value: &Value) {
    redis.command::<()>(&["SET", key, &value.to_string(), "KEEPTTL"]);
}

/// Adds the unknown field to the user record and the refresh entry.
fn add_unknown_fields(redis: &RedisServer, keys: &Keys) -> Value {
    let unknown = json!({"secret": "x", "large": u64::MAX, "empty": [], "null": null});
    let mut record = get(redis, &keys.user());
    record[UNKNOWN] = unknown.clone();
    set(redis, &keys.user(), &record);
    redis.command::<()>(&["HSET", &keys.refresh(), UNKNOWN, "kept"]);
    unknown
}

#[rstest]
fn fields_that_this_version_does_not_know_survive_its_writes(#[values("off", "on")] rotation: &str) {
    let redis = RedisServer::start(&[]);
    let rotation = ("REFRESH_TOKEN_ROTATION", rotation);
    let app = TestApp::start_on(&redis.url(), &[rotation, PROXY]);
    let mut session = app.new_session();
    let keys = Keys::of(&session);
    let unknown = add_unknown_fields(&redis, &keys);
    let assert_kept = |what: &str| {
        assert_eq!(get(&redis, &keys.user())[UNKNOWN], unknown, "{what}");
        assert_eq!(redis.command::<String>(&["HGET", &keys.refresh(), UNKNOWN]), "kept", "{what}");
    };
    let hash = || get(&redis, &keys.user())["password_hash"].clone();

    for _ in 0..2 {
        let answer = app.refresh_access_token(&session.refresh_token);
        assert_eq!(answer.status, 200, "{answer:?}");
        if let Some(next) = answer.json()["refresh_token"].as_str() {
            session.refresh_token = next.to_owned();
        }
        assert_kept("a refresh");
    }
    // A sign-in writes a new address into the record. With higher hash parameters, it also writes a new hash.
    assert_eq!(app.authenticate_from(&unique_address(), &session.email, PASSWORD).status, 200);
    assert_kept("a sign-in from a new address");
    let (before, costlier) = (hash(), TestApp::start_on(&redis.url(), &[rotation, ("ARGON2_ITERATIONS", "2")]));
    costlier.session_of(&session.email);
    assert_ne!(hash(), before, "the hash was upgraded");
    assert_kept("an upgrade of the hash");
    assert_eq!(app.change_password(&session.access_token, PASSWORD, "another password").status, 200);
    assert_kept("a change of the password");
}

/// The key of the value that a later version has written.
type Written = fn(&Keys) -> String;

/// Raises the version of a value, and returns the bytes that must not change.
fn raise_version(redis: &RedisServer, key: &str) -> Vec<u8> {
    if redis.command::<String>(&["TYPE", key]) == "hash" {
        redis.command::<()>(&["HSET", key, "v", "3"]);
    } else {
        let mut value = get(redis, key);
        value["v"] = json!(3);
        set(redis, key, &value);
    }
    redis.command(&["DUMP", key])
}

#[rstest]
fn a_value_of_a_later_version_is_503_and_stays_as_it_is(
    #[values(Keys::user, Keys::epoch, Keys::access, Keys::refresh)] written: Written,
    #[values("off", "on")] rotation: &str,
) {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[("REFRESH_TOKEN_ROTATION", rotation)]);
    let session = app.new_session();
    let keys = Keys::of(&session);
    let key = written(&keys);
    let value = raise_version(&redis, &key);
    let before = redis.keys();

    let reads_user = || {
        vec![
            app.authenticate(&session.email, PASSWORD),
            app.change_password(&session.access_token, PASSWORD, "another password"),
            app.delete_user(&session.access_token, PASSWORD),
        ]
    };
    let checks_access = || {
        vec![
            app.current_user(&session.access_token),
            app.send_as(&session.access_token, "GET", "/sessions", None),
            app.send_as(&session.access_token, "DELETE", "/sessions", None),
            app.send_as(&session.access_token, "DELETE", "/sessions?except=current", None),
            app.send_as(&session.access_token, "DELETE", &format!("/sessions/{}", session.id()), None),
        ]
    };
    let refresh = || vec![app.refresh_access_token(&session.refresh_token)];
    let answers = match &key {
        key if *key == keys.user() => reads_user(),
        key if *key == keys.epoch() => [checks_access(), refresh(), reads_user()].concat(),
        key if *key == keys.access() => checks_access(),
        _ => refresh(),
    };
    for answer in answers {
        answer.assert_error(503, "store_newer_version");
    }
    assert_eq!(redis.command::<Vec<u8>>(&["DUMP", &key]), value, "{key} was overwritten");
    assert_eq!(redis.keys(), before);
    wait_until("the log names the reason", || {
        app.log().iter().any(|line| line["level"] == "ERROR" && line.to_string().contains("later version"))
    });
    assert!(!app.output().contains("panicked"), "{}", app.output());
}

#[test]
fn a_value_that_cannot_be_read_is_500_and_named_only_in_the_log() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    let keys = Keys::of(&session);
    redis.command::<()>(&["SET", &keys.access(), "planted nonsense"]);
    let answer = app.current_user(&session.access_token);
    answer.assert_error(500, "internal_error");
    assert!(!answer.body.contains("entry") && !answer.body.contains("planted"), "{answer:?}");
    wait_until("the request is logged", || app.request_log().iter().any(|line| line["status"] == 500));
    assert!(app.output().contains("entry") && !app.output().contains("planted"), "{}", app.output());
}
