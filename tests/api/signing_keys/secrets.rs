//! The secret that seals the keys: its replacement, and its loss.

use super::scene::{ES256, KEY, kid, published, signs_with};
use crate::support::{
    ACCESS_SECRET, Data, RedisServer, SECRETS, Session, Store, TestApp, assert_says, refused, refused_in, wait_until,
};

const NEW: (&str, &str) = ("AUTH_SECRET_KEY", "planted: a new access secret of the tests");
const VERIFY_OLD: (&str, &str) = ("AUTH_SECRET_KEY_PREVIOUS", ACCESS_SECRET);
const VERIFY_NEW: (&str, &str) = ("AUTH_SECRET_KEY_PREVIOUS", NEW.1);

#[test]
fn replacing_the_secret_keeps_the_keys() {
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    // The replicas of one step run while those of the next start.
    let mut replicas = vec![TestApp::start_on(&url, &[ES256])];
    let session = replicas[0].new_session();
    let first = kid(&session.access_token);
    for settings in [vec![ES256, VERIFY_NEW], vec![ES256, NEW, VERIFY_OLD], vec![ES256, NEW]] {
        replicas.push(TestApp::start_on(&url, &settings));
        let [.., before, after] = &replicas[..] else { unreachable!() };
        for app in [before, after] {
            assert_eq!(signs_with(app, &session.email), first);
            app.session_of(&session.email).assert_lives([before, after]);
            assert_eq!(app.current_user(&session.access_token).status, 200);
        }
        // A key of each step opens in the next one.
        let record: serde_json::Value = serde_json::from_str(&redis.command::<String>(&["GET", KEY])).unwrap();
        assert_eq!(record["keys"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn adopted_secrets_leave_no_key_that_they_do_not_open() {
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let app = TestApp::start_on(&url, &[ES256]);
    let session = app.new_session();
    let old = kid(&session.access_token);
    drop(app);
    // The record of the secrets is lost, so that only the keys tell that the secret is another one.
    let _: u64 = redis.command(&["DEL", "as:secrets"]);
    let said = refused(&[("REDIS_URL", &*url), ES256, NEW]);
    assert_says(&said, &["AUTH_SECRET_KEY does not open the signing key", &old, "secrets adopt"]);
    let hs256 = TestApp::start_on(&url, &[NEW]);
    assert_eq!(hs256.cli(&["secrets", "adopt"]).status.code(), Some(0));
    let app = TestApp::start_on(&url, &[ES256, NEW]);
    let new = signs_with(&app, &session.email);
    assert_ne!(new, old);
    assert_eq!(published(&app), [new]);
}

#[test]
fn an_embedded_server_that_lost_its_secret_says_so() {
    let data = Data::new(Store::Embedded);
    let app = data.start(&[ES256]);
    let session = app.new_session();
    let directory = app.data_directory();
    let working_directory = app.working_directory().to_owned();
    drop(app);
    let secret = directory.join("auth_secret_key");
    let kept = std::fs::read(&secret).unwrap();
    std::fs::remove_file(&secret).unwrap();
    let (code, said) = refused_in(&working_directory, &[ES256]);
    assert_eq!(code, 2, "{said}");
    assert_says(&said, &["AUTH_SECRET_KEY does not open the signing key", &kid(&session.access_token)]);
    std::fs::write(&secret, kept).unwrap();
    let app = data.start(&[ES256]);
    session.assert_lives([&app]);
}

/// A key that a replica with the old secret alone makes after a replica with both secrets has started.
#[test]
fn a_replica_with_both_secrets_opens_a_key_of_the_old_secret() {
    let redis = RedisServer::start(&[]);
    let lead = super::scene::SHORT_LEAD;
    let old = TestApp::start_on(&redis.url(), &[ES256, lead]);
    let both = TestApp::start_on(&redis.url(), &[ES256, lead, VERIFY_NEW]);
    let email = old.new_account();
    let first = signs_with(&old, &email);
    let (code, made) = super::scene::keys(&old, &["rotate"]);
    assert_eq!(code, 0, "{made}");
    wait_until("the new key signs", || signs_with(&both, &email) != first);
    let session: Session = both.session_of(&email);
    session.assert_lives([&old, &both]);
    assert_eq!(SECRETS[0].1, ACCESS_SECRET);
}
