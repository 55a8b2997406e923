//! The keys that ended sessions and deleted accounts leave behind in Redis.

use rstest::rstest;
use serde_json::json;

use crate::support::{Keys, PASSWORD, PROXY, RedisServer, Session, TestApp, tag, unique_address};

const AGENT: &str = "planted-agent/1.0";

/// A Redis without compression, so that the test can find a text in the values.
fn readable_redis() -> RedisServer {
    RedisServer::start(&["--rdbcompression", "no"])
}

/// Signs in from `address`, with the planted user agent.
fn sign_in_from(app: &TestApp, email: &str, address: &str) -> Session {
    let body = json!({"email": email, "password": PASSWORD}).to_string();
    let headers = [("X-Forwarded-For", address), ("User-Agent", AGENT)];
    Session::of(email, &app.send("POST", "/authenticate", &headers, Some(&body)))
}

/// How an account is deleted.
#[derive(Debug, Clone, Copy)]
enum By {
    Owner,
    CommandLine,
}

/// The user has sessions of all kinds: removed, ended and live. There are failed guesses from known and unknown
/// addresses. After the deletion, no key and no value contains anything of the user.
#[rstest]
fn a_deleted_account_leaves_nothing_of_the_user(#[values(By::Owner, By::CommandLine)] by: By) {
    let redis = readable_redis();
    let app = TestApp::start_on(&redis.url(), &[PROXY, ("ADDRESS_LIMIT", "100")]);
    let bystander = app.new_session();
    let others = redis.keys();
    let (email, address, elsewhere) = (app.new_account(), unique_address(), unique_address());
    let removed = sign_in_from(&app, &email, &address);
    assert_eq!(app.remove_access_token(&email).status, 200);
    let ended = sign_in_from(&app, &email, &elsewhere);
    assert_eq!(app.send_as(&ended.access_token, "POST", "/signout", None).status, 200);
    let [first, last] = [&address, &elsewhere].map(|address| sign_in_from(&app, &email, address));
    for address in [&address, &unique_address()] {
        assert_eq!(app.guess_from(address, &email).status, 401);
    }
    let (tag, sids) = (tag(&email), [&removed, &ended, &first, &last].map(Session::id));
    assert!(redis.keys().iter().filter(|key| key.contains(&tag)).count() > 6, "{:?}", redis.keys());

    match by {
        By::Owner => assert_eq!(app.delete_user(&last.access_token, PASSWORD).status, 200),
        By::CommandLine => assert!(app.cli(&["user", "delete", &email]).status.success()),
    }
    let of_the_user = [email.as_str(), tag.as_str(), AGENT, address.as_str(), elsewhere.as_str()];
    let of_the_user: Vec<_> = of_the_user.into_iter().chain(sids.iter().map(String::as_str)).collect();
    for key in redis.keys() {
        for text in &of_the_user {
            assert!(!key.contains(text) && !redis.holds(&key, text), "{key} has {text}");
        }
        // Only counts of addresses may be left. They do not name the user, and they expire.
        assert!(others.contains(&key) || (1..=900_000).contains(&redis.life(&key)), "{key}");
    }
    bystander.assert_lives([&app]);
}

/// Asserts that the entries of sessions are deleted.
fn assert_ended(redis: &RedisServer, sessions: &[&Session]) {
    for session in sessions {
        let keys = Keys::of(session);
        for key in [keys.access(), keys.refresh()] {
            assert_eq!(redis.life(&key), -2, "{key} is still there");
        }
    }
}

#[test]
fn ended_sessions_are_deleted_with_their_entries() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let kept = app.new_session();
    let open = || [app.session_of(&kept.email), app.session_of(&kept.email)];

    let [one, other] = open();
    assert_eq!(app.change_password(&kept.access_token, PASSWORD, PASSWORD).status, 200);
    assert_ended(&redis, &[&one, &other]);
    let [one, other] = open();
    assert_eq!(app.send_as(&kept.access_token, "DELETE", "/sessions?except=current", None).status, 200);
    assert_ended(&redis, &[&one, &other]);
    kept.assert_lives([&app]);
    let [one, other] = open();
    assert_eq!(app.send_as(&one.access_token, "DELETE", &format!("/sessions/{}", other.id()), None).status, 200);
    assert_ended(&redis, &[&other]);
    assert_eq!(app.send_as(&one.access_token, "DELETE", "/sessions", None).status, 200);
    assert_ended(&redis, &[&one, &kept]);
    let last = app.session_of(&kept.email);
    assert_eq!(app.send_as(&last.access_token, "POST", "/signout", None).status, 200);
    assert_eq!(redis.keys(), [Keys::of(&last).user()]);
}

#[test]
fn sign_ins_and_removals_in_turn_leave_no_more_than_the_session_limit() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[("MAX_SESSIONS_PER_USER", "3")]);
    let email = app.new_account();
    for _ in 0..100 {
        app.session_of(&email);
        assert_eq!(app.remove_access_token(&email).status, 200);
        // The user, the list, and the two entries that one removal orphans.
        assert!(redis.keys().len() <= 4, "{:?}", redis.keys());
    }
    for _ in 0..20 {
        app.session_of(&email);
    }
    // The user, the epoch and the list; two entries for each session.
    assert_eq!(redis.keys().len(), 3 + 2 * 3, "{:?}", redis.keys());
}

#[test]
fn a_sign_in_beyond_the_limit_deletes_the_entries_of_the_oldest_session() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[("MAX_SESSIONS_PER_USER", "2")]);
    let first = app.new_session();
    let second = app.session_of(&first.email);
    app.session_of(&first.email);
    assert_ended(&redis, &[&first]);
    app.session_of(&first.email);
    assert_ended(&redis, &[&second]);
    let listed: usize = redis.command(&["ZCARD", &Keys::of(&first).sessions()]);
    assert_eq!(listed, 2);
}

#[test]
fn sessions_that_expired_leave_the_list_with_the_next_sign_in() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[("MAX_SESSIONS_PER_USER", "3")]);
    let first = app.new_session();
    for session in [&first, &app.session_of(&first.email), &app.session_of(&first.email)] {
        let keys = Keys::of(session);
        redis.command::<()>(&["DEL", &keys.access(), &keys.refresh()]);
    }
    let last = app.session_of(&first.email);
    let listed: Vec<String> = redis.command(&["ZRANGE", &Keys::of(&last).sessions(), "0", "-1"]);
    assert_eq!(listed, [last.id()]);
}
