//! Passwords at rest: how they are hashed, and what happens when the settings change.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Answer, Data, Keys, PASSWORD, RedisServer, SLOW_HASH,
    Store::{self, Embedded, Redis},
    TestApp, tag, unique_email, wait_longer, wait_until,
};

/// Costlier than the default parameters of the tests.
const RAISED: [(&str, &str); 3] =
    [("ARGON2_MEMORY_KIB", "8192"), ("ARGON2_ITERATIONS", "2"), ("ARGON2_PARALLELISM", "2")];

/// The record of an account.
fn record(redis: &RedisServer, email: &str) -> Value {
    let record: String = redis.command(&["GET", &format!("as:{{{}}}:u", tag(email))]);
    assert!(!record.contains(PASSWORD), "{record}");
    serde_json::from_str(&record).unwrap()
}

/// The stored hash of an account.
fn stored_hash(redis: &RedisServer, email: &str) -> String {
    record(redis, email)["password_hash"].as_str().unwrap().to_owned()
}

#[test]
fn passwords_are_stored_as_argon2id_with_the_settings_and_a_salt_of_their_own() {
    let redis = RedisServer::start(&[]);
    let settings = [("ARGON2_MEMORY_KIB", "8192"), ("ARGON2_ITERATIONS", "3"), ("ARGON2_PARALLELISM", "2")];
    let app = TestApp::start_on(&redis.url(), &settings);
    let hashes = [app.new_session(), app.new_session()].map(|session| stored_hash(&redis, &session.email));
    let parts = hashes.each_ref().map(|hash| hash.split('$').collect::<Vec<_>>());
    for parts in &parts {
        let &["", algorithm, version, parameters, salt, hash] = parts.as_slice() else { panic!("{parts:?}") };
        assert_eq!((algorithm, version, parameters), ("argon2id", "v=19", "m=8192,t=3,p=2"));
        // A salt of 16 bytes and a hash of 32 bytes, in base64.
        assert_eq!((salt.len(), hash.len()), (22, 43), "{parts:?}");
    }
    assert_ne!(parts[0][4], parts[1][4], "the same password has two salts");
    assert_ne!(parts[0][5], parts[1][5]);
}

#[test]
fn a_sign_in_upgrades_a_weaker_hash() {
    let redis = RedisServer::start(&[]);
    let weak = TestApp::start_on(&redis.url(), &[]);
    let session = weak.new_session();
    let email = session.email.as_str();
    let first = record(&redis, email);
    let before = stored_hash(&redis, email);
    assert!(before.starts_with("$argon2id$v=19$m=7168,t=1,p=1$"), "{before}");

    let strong = TestApp::start_on(&redis.url(), &RAISED);
    assert_eq!(strong.authenticate(email, "wrong password").status, 401);
    assert_eq!(record(&redis, email), first, "only the right password upgrades the hash");
    let signed_in = strong.session_of(email);
    let after = stored_hash(&redis, email);
    assert!(after.starts_with("$argon2id$v=19$m=8192,t=2,p=2$"), "{after}");
    assert_ne!(after.split('$').nth(4), before.split('$').nth(4), "a new salt");
    let mut upgraded = record(&redis, email);
    upgraded["password_hash"] = json!(before);
    assert_eq!(upgraded, first, "nothing else has changed");
    assert_eq!(redis.life(&Keys::of(&session).user()), -1);

    assert_eq!(strong.authenticate(email, "wrong password").status, 401);
    // A replica with the old settings does not weaken the hash, and earlier sessions stay valid.
    for app in [&strong, &weak] {
        assert_eq!(app.authenticate(email, PASSWORD).status, 200);
        assert_eq!(stored_hash(&redis, email), after, "the hash is upgraded only once");
    }
    for session in [&session, &signed_in] {
        session.assert_lives([&weak, &strong]);
    }
}

#[rstest]
fn an_account_still_works_when_the_hash_parameters_change(#[values(Redis, Embedded)] store: Store) {
    let data = Data::new(store);
    let mut app = data.start(&[]);
    let email = app.new_account();
    for settings in [&RAISED[..], &[], &RAISED] {
        drop(app);
        app = data.start(settings);
        app.authenticate(&email, "wrong password").assert_error(401, "invalid_credentials");
        let session = app.session_of(&email);
        app.session_of(&email);
        assert_eq!(app.change_password(&session.access_token, PASSWORD, PASSWORD).status, 200);
    }
}

#[rstest]
fn an_unknown_email_and_a_wrong_password_look_the_same(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = app.new_account();
    let visible = |mut answer: Answer| {
        answer.headers.retain(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
        (answer.status, answer.headers, answer.body)
    };
    for wrong in ["x", "wrong password", &"x".repeat(1024)] {
        let known = app.authenticate(&email, wrong);
        known.assert_error(401, "invalid_credentials");
        assert_eq!(known.json()["error"], "Authentication failed - incorrect email or password");
        assert_eq!(visible(app.authenticate(&unique_email(), wrong)), visible(known));
    }
}

/// `crates/password` tests that an unknown email and a wrong password cost the same work. This test adds an account
/// with an old, cheap hash.
#[rstest]
fn an_unknown_email_and_an_old_hash_cost_a_hash_of_todays_parameters(#[values(Redis, Embedded)] store: Store) {
    let data = Data::new(store);
    let email = data.start(&[]).new_account();
    let app = data.start(&SLOW_HASH);
    for email in [unique_email(), email] {
        // While the hash of the other email runs, a machine with one core is `overloaded`.
        let mut answer = None;
        wait_longer(60, "the server has hashed", || {
            let last = answer.insert(app.authenticate(&email, "wrong password"));
            last.json()["code"] != "overloaded"
        });
        answer.unwrap().assert_error(503, "deadline_exceeded");
    }
}

#[test]
fn the_memory_of_hashes_goes_back_to_the_system_again_and_again() {
    const HASH_MIB: usize = 31;
    let kib = (HASH_MIB * 1024).to_string();
    let app = Data::new(Embedded).start(&[("ARGON2_MEMORY_KIB", kib.as_str()), ("ARGON2_ITERATIONS", "1")]);
    let at_rest = app.memory("VmRSS");
    for round in 0..3 {
        app.new_account();
        let held = app.memory("VmRSS");
        assert!(held + 8 >= at_rest + HASH_MIB, "{held} MiB, though the hashing thread holds {HASH_MIB} MiB");
        let what = format!("the server is back at rest after round {round}");
        wait_until(&what, || app.memory("VmRSS") < at_rest + 8);
    }
}
