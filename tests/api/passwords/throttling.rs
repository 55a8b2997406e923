//! Limits on calls from one address, and on guesses in sequence.

use rstest::rstest;
use serde_json::json;

use crate::support::{
    BEFORE_THE_FIRST_WAIT, PASSWORD, PROXY, RedisServer,
    Store::{self, Embedded, Redis},
    TestApp, assert_throttled, guess_until_throttled, replicas, unique_address, unique_email, wait_until_compared,
};

#[rstest]
fn the_waits_double_from_the_fifth_failure_on(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = app.new_account();
    let guess = || app.authenticate(&email, "wrong password");
    let (compared, answer) = guess_until_throttled(guess);
    let mut longest = 1 << (compared - BEFORE_THE_FIRST_WAIT);
    assert!(assert_throttled(&answer) <= longest);
    // During a wait, the server does not compare even the right password.
    assert_throttled(&app.authenticate(&email, PASSWORD));
    while longest < 8 {
        wait_until_compared(guess);
        longest *= 2;
    }
    // So long a wait has hardly begun, even on a slow machine.
    let wait = assert_throttled(&guess());
    assert!((longest / 2 + 1..=longest).contains(&wait), "{wait} of {longest} s");
}

#[rstest]
fn a_success_resets_the_failures(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[PROXY]);
    let email = app.new_account();
    for _ in 0..3 {
        // A new address each time, so that the account does not know the address.
        let address = unique_address();
        for _ in 0..4 {
            assert_eq!(app.guess_from(&address, &email).status, 401);
        }
        assert_eq!(app.authenticate_from(&address, &email, PASSWORD).status, 200, "the fifth guess is right");
    }
}

#[rstest]
fn an_address_is_limited_over_all_accounts_and_by_ipv6_network(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[PROXY, ("ADDRESS_LIMIT", "5")]);
    let address = unique_address();
    let neighbour = address.replace("::1", "::ffff:9");
    for _ in 0..5 {
        assert_eq!(app.guess_from(&address, &unique_email()).status, 401);
    }
    let email = app.new_account();
    for address in [&address, &neighbour] {
        let wait = assert_throttled(&app.authenticate_from(address, &email, PASSWORD));
        assert!(wait > 60, "a window of 15 minutes, not {wait} s");
    }
    // The account itself has no failures.
    for _ in 0..4 {
        assert_eq!(app.guess_from(&unique_address(), &email).status, 401);
    }
    assert_eq!(app.authenticate_from(&unique_address(), &email, PASSWORD).status, 200);
}

#[rstest]
fn a_success_does_not_count_against_its_address(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[PROXY, ("ADDRESS_LIMIT", "2")]);
    let (email, address) = (app.new_account(), unique_address());
    for _ in 0..4 {
        assert_eq!(app.authenticate_from(&address, &email, PASSWORD).status, 200);
    }
}

#[rstest]
fn signup_limit_per_hour_limits_the_sign_ups_of_an_address(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[PROXY, ("SIGNUP_LIMIT_PER_HOUR", "2")]);
    let sign_up_from = |address: &str| {
        let body = json!({"email": unique_email(), "password": PASSWORD}).to_string();
        app.send("POST", "/signup", &[("X-Forwarded-For", address)], Some(&body))
    };
    let (one, other) = (unique_address(), unique_address());
    assert_eq!([sign_up_from(&one).status, sign_up_from(&one).status], [201, 201]);
    assert!(assert_throttled(&sign_up_from(&one)) > 3_000);
    assert_eq!(sign_up_from(&other).status, 201);
}

#[rstest]
fn open_removals_of_an_address_are_limited_and_own_removals_are_not(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[PROXY, ("ADDRESS_LIMIT", "3")]);
    let address = unique_address();
    let session = app.new_session();
    let remove = |headers: &[(&str, &str)], email: Option<&str>| {
        let body = email.map(|email| json!({"email": email}).to_string());
        let headers = [&[("X-Forwarded-For", address.as_str())], headers].concat();
        app.send("DELETE", "/access-token", &headers, body.as_deref())
    };
    for _ in 0..3 {
        remove(&[], Some(&unique_email())).assert_error(404, "token_not_found");
    }
    assert_throttled(&remove(&[], Some(&session.email)));
    assert_eq!(app.current_user(&session.access_token).status, 200, "no token was removed");
    assert_eq!(remove(&[("Authorization", &session.access_token)], None).status, 200, "own tokens");
}

#[rstest]
fn guesses_with_an_access_token_have_the_same_limits(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[PROXY]);
    for (method, path) in [("PUT", "/user/password"), ("DELETE", "/user")] {
        // The account knows the address of its sign-up, but not the address of the thief who has stolen the token.
        let (session, thief) = (replicas[0].new_session(), unique_address());
        let attempt = |app: &TestApp, address: &str, password: &str| {
            let body = json!({"password": password, "current_password": password, "new_password": PASSWORD});
            let headers = [("Authorization", session.access_token.as_str()), ("X-Forwarded-For", address)];
            app.send(method, path, &headers, Some(&body.to_string()))
        };
        let next = replicas.iter().cycle();
        let next = std::sync::Mutex::new(next);
        let app = || next.lock().unwrap().next().unwrap();
        let (compared, _) = guess_until_throttled(|| attempt(app(), &thief, "a guess"));
        assert!(compared >= BEFORE_THE_FIRST_WAIT, "throttled after {compared} failures");
        // Guesses until the wait is so long that even a slow machine cannot miss it. During the wait, no replica and no
        // route compares even the right password.
        while assert_throttled(&guess_until_throttled(|| attempt(app(), &thief, "a guess")).1) < 4 {}
        for app in &replicas {
            assert_throttled(&attempt(app, &thief, PASSWORD));
            assert_throttled(&app.authenticate_from(&thief, &session.email, PASSWORD));
        }
        session.assert_lives(&replicas);
        assert_eq!(attempt(&replicas[0], "127.0.0.1", PASSWORD).status, 200, "the owner need not wait");
    }
}

#[test]
fn failures_count_across_replicas() {
    let redis = RedisServer::start(&[]);
    let replicas = [(); 3].map(|()| TestApp::start_on(&redis.url(), &[PROXY, ("ADDRESS_LIMIT", "7")]));
    let address = unique_address();
    for n in 0..7 {
        let answer = replicas[n % 3].guess_from(&address, &unique_email());
        answer.assert_error(401, "invalid_credentials");
    }
    for app in &replicas {
        assert!(assert_throttled(&app.guess_from(&address, &unique_email())) > 60);
    }
}

#[test]
fn every_count_in_redis_expires_and_names_no_address() {
    let redis = RedisServer::start(&[]);
    let settings = [PROXY, ("ADDRESS_LIMIT", "100"), ("SIGNUP_LIMIT_PER_HOUR", "100")];
    let app = TestApp::start_on(&redis.url(), &settings);
    let email = app.new_account();
    for n in 0..30 {
        assert_eq!(app.authenticate_from(&format!("192.0.2.{n}"), &email, PASSWORD).status, 200);
    }
    for address in ["198.51.100.99", "192.0.2.29"] {
        assert_eq!(app.guess_from(address, &email).status, 401);
    }
    app.remove_access_token(&unique_email()).assert_error(404, "token_not_found");
    let keys = redis.keys();
    for end in [":f", ":n:f", ":n:d", ":n:s"] {
        assert!(keys.iter().any(|key| key.ends_with(end)), "{end} in {keys:?}");
    }
    assert!(keys.iter().any(|key| key.contains(":f:")), "a known address has a count of its own: {keys:?}");
    for key in &keys {
        assert_eq!(redis.life(key) == -1, key.ends_with(":u"), "{key} lives for {} ms", redis.life(key));
        assert!(!key.contains("198.51.100.99") && !key.contains("192.0.2."), "{key}");
    }
    // The account stores digests of its latest addresses.
    let record: String = redis.command(&["GET", keys.iter().find(|key| key.ends_with(":u")).unwrap()]);
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["known_addresses"].as_object().unwrap().len(), 16);
    assert!(!record.to_string().contains("192.0.2."), "{record}");
}

#[test]
fn a_store_that_cannot_count_gives_no_free_tries() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[("ADDRESS_LIMIT", "100")]);
    let email = app.new_account();
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    for password in [PASSWORD, "wrong password"] {
        app.authenticate(&email, password).assert_error(503, "store_out_of_memory");
    }
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(app.authenticate(&email, PASSWORD).status, 200);
}
