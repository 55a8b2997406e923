//! Rotation over replicas that share Redis.

use crate::support::{FakeClock, RedisServer, TestApp, unix_seconds, wait_longer, wait_until};

use super::scene::{ES256, KEY, SHORT_LEAD, keys, listed, published, signs_with};

fn replicas(redis: &RedisServer, settings: &[(&str, &str)]) -> Vec<TestApp> {
    (0..3).map(|_| TestApp::start_on(&redis.url(), settings)).collect()
}

#[test]
fn all_replicas_sign_with_one_key_from_the_first_request_on() {
    let redis = RedisServer::start(&[]);
    let apps = replicas(&redis, &[ES256]);
    let email = apps[0].new_account();
    let kids: Vec<_> = apps.iter().map(|app| signs_with(app, &email)).collect();
    assert!(kids.iter().all(|kid| *kid == kids[0]), "{kids:?}");
    assert!(apps.iter().all(|app| published(app) == kids[..1]));
    assert_eq!(redis.command::<i64>(&["TTL", KEY]), -1);
}

#[test]
fn a_rotation_publishes_the_next_key_first_and_refuses_nobody() {
    let redis = RedisServer::start(&[]);
    let apps = replicas(&redis, &[ES256, SHORT_LEAD, ("ACCESS_TOKEN_TTL_SECONDS", "3")]);
    let before = apps[0].new_session();
    let old = signs_with(&apps[0], &before.email);
    let (code, made) = keys(&apps[0], &["rotate"]);
    assert_eq!((code, &made["result"]), (0, &"key_made".into()), "{made}");
    let new = made["kid"].as_str().unwrap().to_owned();
    let (code, refused) = keys(&apps[0], &["rotate"]);
    assert_eq!((code, &refused["code"]), (1, &"key_waits".into()), "{refused}");
    for app in &apps {
        wait_until("the next key is published", || published(app) == [old.clone(), new.clone()]);
    }
    // The published key signs later.
    wait_until("the next key signs", || {
        let session = apps[1].session_of(&before.email);
        session.assert_lives(&apps);
        signs_with(&apps[1], &before.email) == new
    });
    assert!(apps.iter().all(|app| signs_with(app, &before.email) == new));
    assert_eq!(published(&apps[2]), [old.clone(), new.clone()], "the old key is published as long as its tokens live");
    wait_longer(30, "the old key goes", || published(&apps[2]) == [new.clone()]);
    assert_eq!(listed(&apps[0]), [(new, "signing".to_owned())]);
}

#[test]
fn a_replica_with_hs256_verifies_tokens_of_the_others_and_makes_no_key() {
    let redis = RedisServer::start(&[]);
    let old = TestApp::start_on(&redis.url(), &[]);
    let signed_before = old.new_session();
    assert_eq!(redis.command::<u64>(&["EXISTS", KEY]), 0);
    let new = TestApp::start_on(&redis.url(), &[ES256]);
    let session = new.session_of(&signed_before.email);
    session.assert_lives([&old, &new]);
    signed_before.assert_lives([&old, &new]);
    assert_eq!(published(&old), [""; 0]);
}

#[test]
fn the_times_of_the_keys_are_those_of_redis() {
    let (redis, machine) = (RedisServer::start(&[]), FakeClock::new(1_000_000_000));
    let app = TestApp::start_on(&redis.url(), &[&[ES256], &machine.settings()[..]].concat());
    let email = app.new_account();
    let kid = signs_with(&app, &email);
    let record: serde_json::Value = serde_json::from_str(&redis.command::<String>(&["GET", KEY])).unwrap();
    let created_at = record["keys"][0]["created_at"].as_u64().unwrap();
    assert!(created_at.abs_diff(unix_seconds()) < 60, "{record}");
    assert_eq!(record["keys"][0]["kid"], kid);
}
