//! Limits on guessing passwords and on calls that anyone may make, counted in the store.

use std::thread;

use serde_json::json;

use crate::{
    app::{PASSWORD, TestApp, unique_email},
    raw::Answer,
    redis_server::{RedisServer, wait_until},
    runner::Store,
    suite,
};

suite! {
    every_store: [
        from_the_fifth_failure_on_a_try_waits,
        a_throttled_try_is_the_same_for_known_and_unknown_emails,
        parallel_guesses_are_counted_before_they_are_judged,
        a_success_forgets_the_failures,
        a_known_address_is_spared_the_accounts_wait_and_judged_by_its_own_count,
        an_address_is_limited_over_all_accounts_and_by_ipv6_network,
        sign_ups_of_an_address_are_limited_when_asked_for,
        open_removals_of_an_address_are_limited_and_own_removals_are_not,
        guesses_at_the_own_password_count_too,
    ]
    redis: [
        failures_count_across_replicas,
        every_count_in_redis_expires_and_names_no_address,
        a_store_that_cannot_count_gives_no_free_tries,
    ]
}

const PROXY: (&str, &str) = ("TRUSTED_PROXIES", "127.0.0.1");

/// A sign-in that comes from `address`, as a trusted proxy says.
fn sign_in_from(app: &TestApp, address: &str, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password}).to_string();
    app.send("POST", "/authenticate", &[("X-Forwarded-For", address)], Some(&body))
}

fn new_account(app: &TestApp) -> String {
    let email = unique_email();
    assert_eq!(app.sign_up(&email, PASSWORD).status, 201);
    email
}

#[track_caller]
fn assert_throttled(answer: &Answer) -> u64 {
    answer.assert_error(429, "too_many_attempts");
    let seconds = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1, "{answer:?}");
    seconds
}

/// Fails once more as soon as it is let; returns the wait that this brings.
fn fail_again(app: &TestApp, email: &str) -> u64 {
    wait_until("the next try is looked at", || app.authenticate(email, "wrong password").status == 401);
    assert_throttled(&app.authenticate(email, "wrong password"))
}

fn from_the_fifth_failure_on_a_try_waits(store: Store) {
    let app = TestApp::start(store);
    let email = new_account(&app);
    for _ in 0..4 {
        app.authenticate(&email, "wrong password").assert_error(401, "invalid_credentials");
    }
    assert_eq!(fail_again(&app, &email), 1);
    // Not even the right password is looked at while the wait lasts.
    assert_throttled(&app.authenticate(&email, PASSWORD));
    assert_eq!(fail_again(&app, &email), 2);
    assert_eq!(fail_again(&app, &email), 4);
}

fn a_throttled_try_is_the_same_for_known_and_unknown_emails(store: Store) {
    let app = TestApp::start(store);
    let answers = [new_account(&app), unique_email()].map(|email| {
        for _ in 0..5 {
            app.authenticate(&email, "wrong password").assert_error(401, "invalid_credentials");
        }
        let mut answer = app.authenticate(&email, PASSWORD);
        assert_throttled(&answer);
        answer.headers.retain(|(name, _)| name != "x-request-id" && name != "date");
        answer
    });
    assert_eq!((&answers[0].headers, &answers[0].body), (&answers[1].headers, &answers[1].body));
}

fn parallel_guesses_are_counted_before_they_are_judged(store: Store) {
    let app = TestApp::start(store);
    let email = new_account(&app);
    let statuses = thread::scope(|scope| {
        let tries: Vec<_> =
            (0..50).map(|_| scope.spawn(|| app.authenticate(&email, "wrong password").status)).collect();
        tries.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
    });
    let judged = statuses.iter().filter(|status| **status == 401).count();
    // Five at once, and one more for each wait that passes meanwhile: of 1, 2 and 4 seconds.
    assert!((5..=8).contains(&judged), "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 50 - judged, "{statuses:?}");
}

fn a_success_forgets_the_failures(store: Store) {
    let app = TestApp::start_with(store, &[PROXY]);
    let email = new_account(&app);
    for round in 0..3 {
        // Each from an address of its own, so that none is known to the account.
        let address = format!("192.0.2.{round}");
        for _ in 0..4 {
            assert_eq!(sign_in_from(&app, &address, &email, "wrong password").status, 401);
        }
        assert_eq!(sign_in_from(&app, &address, &email, PASSWORD).status, 200, "the fifth is right");
    }
}

fn a_known_address_is_spared_the_accounts_wait_and_judged_by_its_own_count(store: Store) {
    let app = TestApp::start_with(store, &[PROXY, ("ADDRESS_LIMIT", "8")]);
    let email = new_account(&app);
    let (owner, attacker) = (unique_address(1), unique_address(2));
    assert_eq!(sign_in_from(&app, &owner, &email, PASSWORD).status, 200);
    for _ in 0..5 {
        assert_eq!(sign_in_from(&app, &attacker, &email, "wrong password").status, 401);
    }
    assert_throttled(&sign_in_from(&app, &attacker, &email, PASSWORD));
    // The account waits, its owner does not; and what the owner gets wrong makes nobody wait but that address.
    for _ in 0..8 {
        assert_eq!(sign_in_from(&app, &owner, &email, "wrong password").status, 401);
    }
    assert!(assert_throttled(&sign_in_from(&app, &owner, &email, PASSWORD)) > 60, "its 15 minutes");
}

/// An address that no other test uses, on the store that tests share.
fn unique_address(salt: u32) -> String {
    let [_, b, c, d] = (std::process::id().wrapping_mul(31).wrapping_add(salt)).to_be_bytes();
    static COUNT: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("2001:db8:{b:x}{c:02x}:{d:x}{count:02x}::{salt:x}")
}

fn an_address_is_limited_over_all_accounts_and_by_ipv6_network(store: Store) {
    let app = TestApp::start_with(store, &[PROXY, ("ADDRESS_LIMIT", "5")]);
    let address = unique_address(1);
    let neighbour = address.replace("::1", ":ffff::9");
    for _ in 0..5 {
        assert_eq!(sign_in_from(&app, &address, &unique_email(), "wrong password").status, 401);
    }
    let email = new_account(&app);
    for address in [&address, &neighbour] {
        assert!(assert_throttled(&sign_in_from(&app, address, &email, PASSWORD)) > 60, "its 15 minutes");
    }
    // It is the address that waits: the account was not even counted.
    for _ in 0..4 {
        assert_eq!(sign_in_from(&app, &unique_address(2), &email, "wrong password").status, 401);
    }
    assert_eq!(sign_in_from(&app, &unique_address(3), &email, PASSWORD).status, 200);
}

fn sign_ups_of_an_address_are_limited_when_asked_for(store: Store) {
    let app = TestApp::start_with(store, &[PROXY, ("SIGNUP_LIMIT_PER_HOUR", "2")]);
    let sign_up_from = |address: &str| {
        let body = json!({"email": unique_email(), "password": PASSWORD}).to_string();
        app.send("POST", "/signup", &[("X-Forwarded-For", address)], Some(&body))
    };
    let (one, other) = (unique_address(1), unique_address(2));
    assert_eq!([sign_up_from(&one).status, sign_up_from(&one).status], [201, 201]);
    assert!(assert_throttled(&sign_up_from(&one)) > 3_000);
    assert_eq!(sign_up_from(&other).status, 201);
}

fn open_removals_of_an_address_are_limited_and_own_removals_are_not(store: Store) {
    let app = TestApp::start_with(store, &[PROXY, ("ADDRESS_LIMIT", "3")]);
    let address = unique_address(1);
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
    assert_eq!(app.current_user(&session.access_token).status, 200, "nothing was removed");
    assert_eq!(remove(&[("Authorization", &session.access_token)], None).status, 200, "one's own");
}

fn guesses_at_the_own_password_count_too(store: Store) {
    let app = TestApp::start_with(store, &[PROXY]);
    let session = app.new_session();
    let address = unique_address(1);
    let headers = [("Authorization", session.access_token.as_str()), ("X-Forwarded-For", &address)];
    let change = json!({"current_password": "wrong password", "new_password": "a new password"}).to_string();
    let delete = json!({"password": "wrong password"}).to_string();
    for _ in 0..2 {
        app.send("PUT", "/user/password", &headers, Some(&change)).assert_error(403, "wrong_password");
        app.send("DELETE", "/user", &headers, Some(&delete)).assert_error(403, "wrong_password");
    }
    app.send("DELETE", "/user", &headers, Some(&delete)).assert_error(403, "wrong_password");
    assert_throttled(&app.send("PUT", "/user/password", &headers, Some(&change)));
    assert_throttled(&app.send("DELETE", "/user", &headers, Some(&json!({"password": PASSWORD}).to_string())));
    assert_throttled(&sign_in_from(&app, &address, &session.email, PASSWORD));
    assert_eq!(app.current_user(&session.access_token).status, 200, "the session goes on");
}

fn failures_count_across_replicas() {
    let redis = RedisServer::start(&[]);
    let replicas = [(); 3].map(|()| TestApp::start_on(&redis.url(), &[PROXY, ("ADDRESS_LIMIT", "7")]));
    let email = new_account(&replicas[0]);
    for n in 0..5 {
        let answer = sign_in_from(&replicas[n % 3], "192.0.2.1", &email, "wrong password");
        answer.assert_error(401, "invalid_credentials");
    }
    for app in &replicas {
        assert_throttled(&sign_in_from(app, "192.0.2.1", &email, PASSWORD));
    }
    for app in &replicas[..2] {
        assert_eq!(sign_in_from(app, "192.0.2.1", &unique_email(), "wrong password").status, 401);
    }
    for app in &replicas {
        assert!(assert_throttled(&sign_in_from(app, "192.0.2.1", &unique_email(), PASSWORD)) > 60);
    }
}

fn every_count_in_redis_expires_and_names_no_address() {
    let redis = RedisServer::start(&[]);
    let settings = [PROXY, ("ADDRESS_LIMIT", "100"), ("SIGNUP_LIMIT_PER_HOUR", "100")];
    let app = TestApp::start_on(&redis.url(), &settings);
    let email = new_account(&app);
    for n in 0..30 {
        assert_eq!(sign_in_from(&app, &format!("192.0.2.{n}"), &email, PASSWORD).status, 200);
    }
    for _ in 0..6 {
        sign_in_from(&app, "198.51.100.99", &email, "wrong password");
    }
    app.remove_access_token(&unique_email()).assert_error(404, "token_not_found");
    let keys: Vec<String> = redis.command(&["KEYS", "*"]);
    for end in [":f", ":n:f", ":n:d", ":n:s"] {
        assert!(keys.iter().any(|key| key.ends_with(end)), "{end} in {keys:?}");
    }
    for key in &keys {
        let life: i64 = redis.command(&["TTL", key]);
        assert_eq!(life == -1, key.ends_with(":u"), "{key} lives for {life} s");
        assert!(!key.contains("198.51.100.99") && !key.contains("192.0.2."), "{key}");
    }
    let user = keys.iter().find(|key| key.ends_with(":u")).unwrap();
    let user: String = redis.command(&["GET", user]);
    // However many there were, few are kept, and none as it is.
    let addresses = user.lines().nth(1).unwrap();
    assert_eq!(addresses.len(), 16 * (5 + 22), "a day and a digest each");
    assert!(!user.contains("192.0.2."), "{user}");
}

fn a_store_that_cannot_count_gives_no_free_tries() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[("ADDRESS_LIMIT", "100")]);
    let email = new_account(&app);
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    for password in [PASSWORD, "wrong password"] {
        app.authenticate(&email, password).assert_error(503, "store_out_of_memory");
    }
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(app.authenticate(&email, PASSWORD).status, 200);
}
