//! The keys of a user, their lifetimes, and their values.

use std::{collections::HashSet, process::Stdio};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    ACCESS_SECRET, Cluster, Keys, PASSWORD, RedisServer, Session, TestApp, claims, program, sentinel_scene, text,
    unique_email,
};

/// Each key of a fresh session with its longest TTL in seconds; `None` for a key that never expires.
fn lives(keys: &Keys) -> [(String, Option<i64>); 5] {
    [
        (keys.user(), None),
        (keys.epoch(), Some(120)),
        (keys.access(), Some(60)),
        (keys.refresh(), Some(120)),
        (keys.sessions(), Some(120)),
    ]
}

/// Reads a TTL with the program that an operator uses.
fn redis_cli_ttl(port: u16, key: &str) -> i64 {
    let mut command = program("redis-cli");
    let output = command.args(["-c", "-p", &port.to_string(), "TTL", key]).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().parse().unwrap_or_else(|_| panic!("{text}"))
}

/// Asserts the TTLs of a new session on the Redis at `port`.
fn assert_ttls(port: u16, session: &Session) {
    for (key, longest) in lives(&Keys::of(session)) {
        let ttl = redis_cli_ttl(port, &key);
        match longest {
            None => assert_eq!(ttl, -1, "{key}"),
            Some(longest) => assert!((longest - 10..=longest).contains(&ttl), "{key} has a TTL of {ttl} s"),
        }
    }
}

#[test]
fn entries_have_native_ttls_and_users_have_none() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    assert_eq!(redis.keys(), Keys::of(&session).all());
    assert_ttls(redis.port(), &session);
}

#[test]
fn entries_have_native_ttls_under_sentinels() {
    let (sentinels, app, _) = sentinel_scene(&[]);
    let session = app.new_session();
    assert_ttls(sentinels.servers[sentinels.primary()].port(), &session);
}

#[test]
fn entries_have_native_ttls_in_a_cluster() {
    let cluster = Cluster::start(&[]);
    let app = TestApp::start_on(&cluster.url(), &[]);
    for _ in 0..3 {
        let session = app.new_session();
        let owner = cluster.owner(0, &Keys::of(&session).user());
        assert_ttls(cluster.servers[owner].port(), &session);
    }
}

#[test]
fn a_refresh_renews_the_access_entry_for_a_whole_lifetime() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    let keys = Keys::of(&session);
    // First as if 50 seconds had passed, and then as if the access token had expired.
    redis.command::<()>(&["EXPIRE", &keys.access(), "10"]);
    redis.command::<()>(&["EXPIRE", &keys.refresh(), "70"]);
    for _ in 0..2 {
        assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
        redis.assert_life(&keys.access(), 60);
        redis.assert_life(&keys.refresh(), 70);
        redis.command::<()>(&["DEL", &keys.access()]);
    }
    // A refresh does not shorten the life of an older access token.
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
    redis.command::<()>(&["EXPIRE", &keys.access(), "100"]);
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
    redis.assert_life(&keys.access(), 100);
    assert_eq!(redis.life(&keys.user()), -1);
}

#[test]
fn the_epoch_and_the_list_live_as_long_as_the_longest_entry() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    let keys = Keys::of(&session);
    for key in [keys.epoch(), keys.sessions(), keys.refresh()] {
        redis.command::<()>(&["EXPIRE", &key, "30"]);
    }
    // The new access token outlives the refresh token.
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
    for key in [keys.epoch(), keys.sessions()] {
        redis.assert_life(&key, 60);
    }
    redis.assert_life(&keys.refresh(), 30);
    let second = app.session_of(&session.email);
    for key in [keys.epoch(), keys.sessions(), Keys::of(&second).refresh()] {
        redis.assert_life(&key, 120);
    }
    redis.assert_life(&keys.refresh(), 30);
}

#[test]
fn with_rotation_a_refresh_renews_both_entries() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[("REFRESH_TOKEN_ROTATION", "on")]);
    let session = app.new_session();
    let keys = Keys::of(&session);
    for key in [keys.epoch(), keys.sessions(), keys.refresh(), keys.access()] {
        redis.command::<()>(&["EXPIRE", &key, "20"]);
    }
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
    for (key, seconds) in [(keys.epoch(), 120), (keys.sessions(), 120), (keys.refresh(), 120), (keys.access(), 60)] {
        redis.assert_life(&key, seconds);
    }
}

#[test]
fn lifetimes_are_settings() {
    let redis = RedisServer::start(&[]);
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "300"), ("REFRESH_TOKEN_TTL_SECONDS", "4000")];
    let app = TestApp::start_on(&redis.url(), &settings);
    let session = app.new_session();
    let keys = Keys::of(&session);
    redis.assert_life(&keys.access(), 300);
    for key in [keys.refresh(), keys.epoch(), keys.sessions()] {
        redis.assert_life(&key, 4_000);
    }
    // A replica with shorter lifetimes must not shorten the entries of other replicas.
    let other = TestApp::start_on(&redis.url(), &[]);
    let short = other.session_of(&session.email);
    redis.assert_life(&Keys::of(&short).refresh(), 120);
    assert_eq!(other.refresh_access_token(&session.refresh_token).status, 200);
    redis.assert_life(&keys.access(), 300);
    for key in [keys.refresh(), keys.epoch(), keys.sessions()] {
        redis.assert_life(&key, 4_000);
    }
}

#[test]
fn values_are_json_with_a_version_and_refresh_entries_have_named_fields() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let email = app.new_account();
    let body = json!({"email": email, "password": PASSWORD}).to_string();
    let session = Session::of(&email, &app.send("POST", "/authenticate", &[("User-Agent", "tests")], Some(&body)));
    let keys = Keys::of(&session);
    for key in [keys.user(), keys.epoch(), keys.access()] {
        let value: Value = serde_json::from_str(&redis.command::<String>(&["GET", &key])).unwrap();
        assert_eq!(value["v"], 1, "{key}: {value}");
    }
    let names: HashSet<String> = redis.command(&["HKEYS", &keys.refresh()]);
    for name in ["v", "epoch", "id", "last_used", "address", "agent"] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
}

#[test]
fn no_email_is_in_a_key_and_no_password_and_no_token_in_a_value() {
    // Without compression, the test can find a text in the output of DUMP.
    let redis = RedisServer::start(&["--rdbcompression", "no"]);
    let app = TestApp::start_on(&redis.url(), &[]);
    // Braces in a key would change the hash tag of a cluster.
    let email = format!("{{planted}}.{}", unique_email());
    assert_eq!(app.sign_up(&email, "planted password").status, 201);
    let session = app.sign_in(&email, "planted password");
    let refreshed = text(&app.refresh_access_token(&session.refresh_token), "access_token");
    assert_eq!(app.send("GET", "/readyz", &[], None).status, 200);
    let keys = redis.keys();
    assert_eq!(keys, Keys::of(&session).all());
    for key in keys {
        assert!(!key.contains("planted") && !key.contains("example"), "{key}");
        let tokens = [&session.access_token, &session.refresh_token, &refreshed];
        let parts = tokens.into_iter().flat_map(|token| token.split('.').skip(1));
        for secret in parts.chain(["planted password", ACCESS_SECRET]) {
            assert!(!redis.holds(&key, secret), "{key} holds {secret}");
        }
    }
}

#[test]
fn epochs_and_session_ids_are_new_random_128_bits() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let mut seen = HashSet::new();
    let mut note = |what: &str, id: &Value| {
        let id = id.as_str().unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(id).unwrap().len(), 16, "{what}: {id}");
        assert!(seen.insert(id.to_owned()), "{what} is not new");
    };
    let email = app.new_session().email;
    for _ in 0..10 {
        assert_eq!(app.remove_access_token(&email).status, 200);
        let session = app.session_of(&email);
        let epoch: String = redis.command(&["GET", &Keys::of(&session).epoch()]);
        note("epoch", &serde_json::from_str::<Value>(&epoch).unwrap()["epoch"]);
        let refreshed = text(&app.refresh_access_token(&session.refresh_token), "access_token");
        let (access, refresh) = (claims(&session.access_token), claims(&session.refresh_token));
        let refreshed = claims(&refreshed);
        note("sid", &access["sid"]);
        assert_eq!((&refresh["sid"], &refreshed["sid"]), (&access["sid"], &access["sid"]));
        for token in [access, refresh, refreshed] {
            note("jti", &token["jti"]);
        }
    }
}

#[rstest]
fn an_entry_deleted_by_hand_ends_its_token_on_every_replica(
    #[values(Keys::access, Keys::refresh, Keys::epoch)] entry: fn(&Keys) -> String,
) {
    let redis = RedisServer::start(&[]);
    let replicas = [(); 3].map(|()| TestApp::start_on(&redis.url(), &[]));
    let session = replicas[0].new_session();
    for app in &replicas {
        assert_eq!(app.current_user(&session.access_token).status, 200);
    }
    let keys = Keys::of(&session);
    let key = entry(&keys);
    assert_eq!(redis.command::<u64>(&["DEL", &key]), 1);
    for app in &replicas {
        if key != keys.refresh() {
            app.current_user(&session.access_token).assert_error(401, "invalid_token");
        }
        if key != keys.access() {
            app.refresh_access_token(&session.refresh_token).assert_error(404, "token_not_found");
        }
    }
}
