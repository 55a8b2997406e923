//! Clients that leave before the answer: the server still completes and logs their requests.

use std::net::Shutdown;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Connection, Data, PASSWORD, SLOW_HASH,
    Store::{self, Embedded, Redis},
    TestApp, raw, unique_email, wait_longer,
};

const CLIENTS: usize = 40;
/// So many hashes take a while on a busy machine.
const PATIENT: [(&str, &str); 3] =
    [("REQUEST_TIMEOUT_SECONDS", "60"), ("ACCESS_TOKEN_TTL_SECONDS", "3600"), ("REFRESH_TOKEN_TTL_SECONDS", "3600")];

/// How a client leaves after its request.
#[derive(Debug, Clone, Copy)]
enum Leave {
    /// The client closes its side of the connection and reads nothing.
    HalfClosed,
    /// The client closes the connection.
    Closed,
}

/// Sends one request for each of many accounts, from clients that leave at once. Asserts that each request gets its
/// audit line and its request line.
fn assert_all_logged(
    app: &TestApp,
    leave: Leave,
    event: &str,
    request: impl Fn(usize) -> (&'static str, &'static str, Value),
) {
    let headers = |id: &str| [("Content-Type", "application/json".to_owned()), ("X-Request-Id", id.to_owned())];
    let ids: Vec<_> = (0..CLIENTS).map(|n| format!("leaving-{n}")).collect();
    let mut open = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        let (method, path, body) = request(n);
        let headers = headers(id);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut connection = Connection::open(app.port());
        connection.write(&raw::request(method, path, &headers, Some(&body.to_string()))).unwrap();
        if matches!(leave, Leave::HalfClosed) {
            connection.shutdown(Shutdown::Write);
            open.push(connection);
        }
    }
    let of = |id: &str, matches: &dyn Fn(&Value) -> bool| {
        app.log().iter().filter(|line| line["request_id"] == id && matches(line)).count()
    };
    for id in &ids {
        wait_longer(60, "the event and the request are logged", || {
            of(id, &|line| line["event"] == event) == 1 && of(id, &|line| line["message"] == "request") == 1
        });
    }
}

#[rstest]
fn every_removal_is_logged(
    #[values(Redis, Embedded)] store: Store,
    #[values(Leave::HalfClosed, Leave::Closed)] leave: Leave,
) {
    let app = TestApp::start_with(store, &PATIENT);
    let sessions: Vec<_> = (0..CLIENTS).map(|_| app.new_session()).collect();
    assert_all_logged(&app, leave, "tokens_removed", |n| {
        ("DELETE", "/access-token", json!({"email": sessions[n].email}))
    });
    for session in &sessions {
        session.assert_dead([&app]);
    }
}

#[rstest]
fn every_sign_in_is_logged(
    #[values(Redis, Embedded)] store: Store,
    #[values(Leave::HalfClosed, Leave::Closed)] leave: Leave,
) {
    let app = TestApp::start_with(store, &PATIENT);
    let emails: Vec<_> = (0..CLIENTS).map(|_| app.new_account()).collect();
    assert_all_logged(&app, leave, "signed_in", |n| {
        ("POST", "/authenticate", json!({"email": emails[n], "password": PASSWORD}))
    });
}

#[rstest]
fn every_sign_up_is_logged(
    #[values(Redis, Embedded)] store: Store,
    #[values(Leave::HalfClosed, Leave::Closed)] leave: Leave,
) {
    let app = TestApp::start_with(store, &PATIENT);
    let emails: Vec<_> = (0..CLIENTS).map(|_| unique_email()).collect();
    assert_all_logged(&app, leave, "signed_up", |n| {
        ("POST", "/signup", json!({"email": emails[n], "password": PASSWORD}))
    });
    for email in &emails {
        app.session_of(email);
    }
}

/// The server completes a password check after the deadline of the request. The right password must not count as a
/// failure.
#[rstest]
fn deadlines_in_a_row_do_not_throttle_the_right_password(#[values(Redis, Embedded)] store: Store) {
    let data = Data::new(store);
    let email = data.start(&[]).new_account();
    // The shutdown waits for the guess that the server still compares.
    let mut late = data.start(&[SLOW_HASH.as_slice(), &[("SHUTDOWN_TIMEOUT_SECONDS", "60")]].concat());
    // Two guesses and the four below would exceed the limit, which is five. A sign-in that finds all hashing threads
    // busy gets `overloaded`, and is no guess.
    let mut deadlines = 0;
    wait_longer(60, "two guesses have missed their deadline", || {
        let answer = late.authenticate(&email, PASSWORD);
        assert_eq!(answer.status, 503, "{answer:?}");
        deadlines += u32::from(answer.json()["code"] == "deadline_exceeded");
        deadlines == 2
    });
    late.terminate();
    assert!(late.wait().success());
    let app = data.start(&[]);
    for _ in 0..4 {
        app.authenticate(&email, "wrong password").assert_error(401, "invalid_credentials");
    }
    assert_eq!(app.authenticate(&email, PASSWORD).status, 200);
}
