//! Keys that cannot be read: an outage, a damaged record, one of a later version, and a store that was wiped.

use super::scene::{ES256, KEY, keys, kid, published, signs_with};
use crate::support::{
    PASSWORD, RedisServer, TestApp, assert_away, assert_says, refused, wait_longer, wait_until, wait_until_ready,
};

/// The tokens outlive an outage.
const LONG_LIVES: [(&str, &str); 2] = [("ACCESS_TOKEN_TTL_SECONDS", "600"), ("REFRESH_TOKEN_TTL_SECONDS", "600")];

/// The log lines at this level.
fn lines(app: &TestApp, level: &str) -> Vec<String> {
    let log = app.log().into_iter().filter(|line| line["level"] == level);
    log.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn an_outage_longer_than_30_seconds_needs_no_restart() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[&LONG_LIVES[..], &[ES256]].concat());
    let session = app.new_session();
    let published_before = published(&app);
    redis.freeze();
    let start = std::time::Instant::now();
    wait_longer(60, "the keys are older than 30 seconds", || {
        assert_eq!(published(&app), published_before);
        let answer = app.current_user(&session.access_token);
        assert_away(&answer);
        let answer = app.authenticate(&session.email, PASSWORD);
        assert!(answer.status == 503 && answer.header("retry-after").is_some(), "{answer:?}");
        start.elapsed() > std::time::Duration::from_secs(32)
    });
    redis.thaw();
    wait_until_ready(&app, &session);
    wait_until("the key signs again", || app.authenticate(&session.email, PASSWORD).status == 200);
    assert_eq!(signs_with(&app, &session.email), published_before[0]);
}

/// A Redis whose user `server` may be kept from reading the keys, and only the keys.
struct Guarded(RedisServer);

impl Guarded {
    fn start() -> Self {
        let guarded = Self(RedisServer::start(&[]));
        guarded.show_keys();
        guarded
    }

    fn allow(&self, patterns: &[&str]) {
        let words = [&["ACL", "SETUSER", "server", "on", ">secret", "+@all", "resetkeys"], patterns].concat();
        self.0.command::<()>(&words);
    }

    fn show_keys(&self) {
        self.allow(&["~as:*"]);
    }

    fn hide_keys(&self) {
        self.allow(&["~as:{*", "~as:probe*", "~as:secrets"]);
    }

    fn app(&self, settings: &[(&str, &str)]) -> TestApp {
        let url = self.0.url().replace("redis://", "redis://server:secret@");
        TestApp::start_on(&url, &[&LONG_LIVES, settings].concat())
    }
}

#[test]
fn keys_that_could_not_be_read_for_30_seconds_sign_no_more() {
    let redis = Guarded::start();
    let app = redis.app(&[ES256]);
    let session = app.new_session();
    redis.hide_keys();
    // A sign-in would end the oldest session in the long run.
    wait_longer(60, "no key signs", || app.refresh_access_token(&session.refresh_token).status == 503);
    let answer = app.authenticate(&session.email, PASSWORD);
    assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("no_signing_key")), "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!(app.current_user(&session.access_token).status, 200, "the keys verify");
    assert_eq!(published(&app), [kid(&session.access_token)]);
    wait_until("the log says why", || lines(&app, "ERROR").iter().any(|line| line.contains("signing keys")));
    redis.show_keys();
    wait_until("the key signs again", || app.authenticate(&session.email, PASSWORD).status == 200);
}

#[test]
fn a_token_of_a_key_that_could_not_be_read_is_503_and_not_401() {
    let redis = Guarded::start();
    redis.hide_keys();
    let app = redis.app(&[]);
    // This one has all rights.
    let signer = TestApp::start_on(&redis.0.url(), &[&LONG_LIVES[..], &[ES256]].concat());
    let session = signer.new_session();
    assert_away(&app.current_user(&session.access_token));
    assert_away(&app.send("POST", "/signout", &[("Authorization", &session.access_token)], None));
    redis.show_keys();
    wait_until("the server has read the key", || app.current_user(&session.access_token).status == 200);
}

#[test]
fn a_record_that_cannot_be_read_is_never_overwritten() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[ES256]);
    let session = app.new_session();
    let good: String = redis.command(&["GET", KEY]);
    let later = good.replace(r#""v":1"#, r#""v":2"#);
    for (bad, says) in
        [("{}", "damaged"), ("", "damaged"), (&*later, "later version"), (&good[..good.len() / 2], "damaged")]
    {
        let () = redis.command(&["SET", KEY, bad]);
        let said = refused(&[("REDIS_URL", &redis.url()), ES256]);
        assert_says(&said, &["the record of the signing keys", says]);
        let (code, json) = keys(&app, &["list"]);
        assert_eq!(code, 1, "{json}");
        let hs256 = TestApp::start_on(&redis.url(), &[]);
        hs256.new_session().assert_lives([&hs256, &app]);
        session.assert_lives([&app]);
        assert_eq!(redis.command::<String>(&["GET", KEY]), bad);
    }
    wait_until("the log says why", || {
        lines(&app, "ERROR").iter().any(|line| line.contains("the record of the signing keys"))
    });
    let () = redis.command(&["SET", KEY, &good]);
    session.assert_lives([&app, &TestApp::start_on(&redis.url(), &[ES256])]);
}

#[test]
fn a_wiped_store_gets_a_new_key() {
    let redis = RedisServer::start(&[]);
    let apps = [(); 2].map(|()| TestApp::start_on(&redis.url(), &[ES256]));
    let old = published(&apps[0]);
    let () = redis.command(&["FLUSHALL"]);
    for app in &apps {
        wait_until("there is a new key", || published(app) != old && published(app).len() == 1);
    }
    let email = apps[0].new_account();
    wait_until("the new key signs", || apps[0].authenticate(&email, PASSWORD).status == 200);
    let session = apps[0].session_of(&email);
    session.assert_lives(&apps);
}

#[test]
fn a_replica_starts_without_redis_and_signs_when_redis_is_there() {
    let mut redis = RedisServer::start(&[]);
    redis.kill();
    let app = TestApp::start_on(&redis.url(), &[ES256]);
    let answer = app.send("GET", "/.well-known/jwks.json", &[], None);
    assert_eq!(answer.status, 503, "an empty set would stay in caches: {answer:?}");
    redis.restart();
    wait_until("the server is ready", || app.send("GET", "/readyz", &[], None).status == 200);
    let email = app.new_account();
    wait_until("a key signs", || app.authenticate(&email, PASSWORD).status == 200);
    assert_eq!(published(&app), [signs_with(&app, &email)]);
}
