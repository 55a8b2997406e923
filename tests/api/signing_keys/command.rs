//! `auth-service keys`, on both stores, and the keys in `doctor`.

use rstest::rstest;
use serde_json::Value;

use super::scene::{ES256, SHORT_LEAD, keys, listed, published, signs_with};
use crate::support::{
    Data, RedisServer,
    Store::{self, Embedded, Redis},
    TestApp, assert_says, refused, wait_until,
};

/// A server of its own, because tests on the shared Redis share the keys too.
struct Scene {
    redis: Option<RedisServer>,
    data: Option<Data>,
}

impl Scene {
    fn new(store: Store) -> Self {
        match store {
            Redis => Self { redis: Some(RedisServer::start(&[])), data: None },
            Embedded => Self { redis: None, data: Some(Data::new(store)) },
        }
    }

    fn start(&self, settings: &[(&str, &str)]) -> TestApp {
        match (&self.redis, &self.data) {
            (Some(redis), _) => TestApp::start_on(&redis.url(), settings),
            (None, Some(data)) => data.start(settings),
            (None, None) => unreachable!(),
        }
    }
}

#[rstest]
fn the_commands_list_rotate_and_revoke(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::new(store);
    let mut app = scene.start(&[ES256, SHORT_LEAD]);
    let session = app.new_session();
    let first = signs_with(&app, &session.email);
    app = app.aside(store);
    assert_eq!(listed(&app), [(first.clone(), "signing".to_owned())]);
    let (code, made) = keys(&app, &["rotate"]);
    assert_eq!(code, 0, "{made}");
    let second = made["kid"].as_str().unwrap().to_owned();
    let (code, again) = keys(&app, &["rotate"]);
    assert!(code == 1 && again["code"] == "key_waits" && again["error"].as_str().unwrap().contains(&second), "{again}");
    app = app.back(store);
    wait_until("the second key signs", || signs_with(&app, &session.email) == second);
    assert_eq!(app.current_user(&session.access_token).status, 200, "a token of the first key");

    app = app.aside(store);
    let (code, revoked) = keys(&app, &["revoke", &first]);
    assert_eq!((code, &revoked["signing"]), (0, &second.as_str().into()), "{revoked}");
    app = app.back(store);
    wait_until("the first key is no longer published", || published(&app) == [second.clone()]);
    app.current_user(&session.access_token).assert_error(401, "invalid_token");
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200, "nobody has to sign in again");

    // The key that signs is revoked: another one takes over.
    app = app.aside(store);
    let (code, revoked) = keys(&app, &["revoke", &second]);
    let third = revoked["signing"].as_str().unwrap().to_owned();
    assert!(code == 0 && third != second, "{revoked}");
    app = app.back(store);
    wait_until("the third key signs", || signs_with(&app, &session.email) == third);
    wait_until("the second key is no longer published", || published(&app) == [third.clone()]);
    app = app.aside(store);
    for kid in [&*first, "nonsense", &format!("-{}", &first[1..])] {
        let (code, missing) = keys(&app, &["revoke", kid]);
        assert_eq!((code, &missing["code"]), (1, &"key_not_found".into()), "{missing}");
    }
}

#[rstest]
fn without_keys_the_list_is_empty(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::new(store);
    let app = scene.start(&[]).aside(store);
    let (code, json) = keys(&app, &["list"]);
    assert_eq!((code, json.to_string()), (0, r#"{"keys":[]}"#.to_owned()));
    let output = app.cli(&["keys", "list"]);
    assert_says(&String::from_utf8(output.stdout).unwrap(), &["No keys", "ES256"]);
}

#[test]
fn doctor_shows_the_keys_and_finds_those_that_the_secret_does_not_open() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[ES256]);
    let kid = signs_with(&app, &app.new_account());
    let finding = |secret: &[&str]| -> Value {
        let output = app.cli(&[&["doctor", "--json"], secret].concat());
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        json["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == "keys").unwrap().clone()
    };
    let good = finding(&[]);
    assert_eq!(good["verdict"], "ok");
    assert_says(good["seen"].as_str().unwrap(), &[&kid, "signs since"]);
    let bad = finding(&["--auth-secret-key", "planted: another secret of the tests"]);
    assert_eq!(bad["verdict"], "warning");
    assert_says(bad["seen"].as_str().unwrap(), &[&kid, "does not open"]);
    assert_says(bad["advice"].as_str().unwrap(), &["secrets adopt"]);
}

#[test]
fn settings_of_the_keys_are_checked() {
    for (name, value) in [
        ("SIGNING_KEY_ROTATION_DAYS", "-1"),
        ("SIGNING_KEY_ROTATION_DAYS", "3651"),
        ("SIGNING_KEY_LEAD_SECONDS", "1"),
        ("SIGNING_KEY_LEAD_SECONDS", "86401"),
    ] {
        assert_says(&refused(&[(name, value)]), &[name, "must be a whole number from"]);
    }
}
