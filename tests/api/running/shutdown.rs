//! Shutdown: first `/readyz` fails, then requests in flight finish, and no acknowledged write is lost.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;

use crate::support::{
    Connection, PASSWORD,
    Store::{self, Embedded, Redis},
    TestApp, flood_of_signups, raw, signal, unique_email, wait_until,
};

/// Waits until the listener is closed: the last phase of the shutdown has begun.
fn wait_until_closing(app: &TestApp) {
    let port = app.port();
    wait_until("the listener is closed", || Connection::try_open(port).is_err());
}

/// A sign-up request in two parts. The cut is in the body.
fn halves(email: &str) -> (Vec<u8>, Vec<u8>) {
    let body = json!({"email": email, "password": PASSWORD}).to_string();
    let mut first = raw::request("POST", "/signup", &[("Content-Type", "application/json")], Some(&body));
    let second = first.split_off(first.len() - 10);
    (first, second)
}

#[rstest]
fn after_sigterm_readyz_fails_first_while_requests_are_still_served(#[values(Redis, Embedded)] store: Store) {
    let mut app = TestApp::start_with(store, &[("SHUTDOWN_DELAY_SECONDS", "4")]);
    let session = app.new_session();
    let ready = || app.send("GET", "/readyz", &[], None);
    let answer = ready();
    assert_eq!((answer.status, answer.header("connection")), (200, None), "{answer:?}");
    let mut kept = Connection::open(app.port());
    let user = raw::request("GET", "/user", &[("Authorization", &session.access_token)], None);
    kept.write(&user).unwrap();
    assert_eq!(kept.read().unwrap().status, 200);

    app.terminate();
    wait_until("/readyz is 503", || ready().status == 503);
    ready().assert_error(503, "shutting_down");
    // The server still serves new and old connections, and tells each client to close its connection.
    for answer in [
        app.send("GET", "/livez", &[], None),
        app.current_user(&session.access_token),
        app.refresh_access_token(&session.refresh_token),
        app.authenticate(&session.email, PASSWORD),
    ] {
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{answer:?}");
    }
    assert_eq!(app.sign_up(&unique_email(), PASSWORD).status, 201);
    kept.write(&user).unwrap();
    let answer = kept.read().unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{answer:?}");
    assert!(kept.is_closed());
    assert_eq!(app.wait().code(), Some(0), "{}", app.output());
}

#[rstest]
fn a_request_in_flight_finishes_with_its_answer(#[values(Redis, Embedded)] store: Store) {
    let mut app = TestApp::start_with(store, &[("SHUTDOWN_DELAY_SECONDS", "0")]);
    let email = unique_email();
    let (first, second) = halves(&email);
    let mut connection = Connection::open(app.port());
    connection.write(&first).unwrap();
    app.terminate();
    wait_until_closing(&app);
    connection.write(&second).unwrap();
    let answer = connection.read().unwrap();
    answer.assert(201, &json!({"result": "Account successfully created"}));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(connection.is_closed());
    assert_eq!(app.wait().code(), Some(0), "{}", app.output());
    assert_eq!(app.kill_and_restart().authenticate(&email, PASSWORD).status, 200);
}

#[rstest]
fn a_flood_cut_by_sigterm_loses_no_acknowledged_signup(#[values(Redis, Embedded)] store: Store) {
    let mut app = TestApp::start_with(store, &[("SHUTDOWN_DELAY_SECONDS", "0")]);
    let pid = app.pid();
    let acknowledged = flood_of_signups(&app, || signal(pid, "TERM"));
    assert_eq!(app.wait().code(), Some(0), "{}", app.output());
    let app = app.kill_and_restart();
    for email in &acknowledged {
        assert_eq!(app.authenticate(email, PASSWORD).status, 200, "{email} of {}", acknowledged.len());
    }
}

#[test]
fn idle_connections_do_not_delay_the_end() {
    let settings = [("SHUTDOWN_DELAY_SECONDS", "0"), ("SHUTDOWN_TIMEOUT_SECONDS", "300")];
    let mut app = TestApp::start_with(Embedded, &settings);
    let livez = raw::request("GET", "/livez", &[], None);
    let mut idle: Vec<_> = (0..8).map(|_| Connection::open(app.port())).collect();
    for connection in &mut idle[..4] {
        connection.write(&livez).unwrap();
        assert_eq!(connection.read().unwrap().status, 200);
    }
    app.terminate();
    assert_eq!(app.wait().code(), Some(0), "{}", app.output());
    assert!(idle.iter_mut().all(Connection::is_closed));
}

#[test]
fn a_client_that_never_finishes_is_cut_off() {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let settings = [("SHUTDOWN_DELAY_SECONDS", "0"), ("SHUTDOWN_TIMEOUT_SECONDS", "2")];
    let mut app = TestApp::start_with(Embedded, &settings);
    // Enough clients to keep every worker busy.
    let workers = std::thread::available_parallelism().unwrap().get();
    let mut stuck: Vec<_> = (0..2 * workers).map(|_| Connection::open(app.port())).collect();
    for connection in &mut stuck {
        connection.write(&halves(&unique_email()).0).unwrap();
    }
    assert_eq!(app.send("GET", "/livez", &[], None).status, 200);
    app.terminate();
    let start = Instant::now();
    assert_eq!(app.wait().code(), Some(0), "{}", app.output());
    let took = start.elapsed();
    assert!(took > TIMEOUT - Duration::from_millis(200), "{took:?}: the clients get the whole timeout");
    assert!(took < TIMEOUT * 2, "{took:?}: the workers wait in parallel");
    assert!(stuck.iter_mut().all(Connection::is_closed), "closed without an answer");
    assert!(app.output().contains("SHUTDOWN_TIMEOUT_SECONDS are cut off"), "{}", app.output());
}

#[test]
fn sigint_ends_the_server_at_once() {
    let mut app = TestApp::start_with(Embedded, &[("SHUTDOWN_DELAY_SECONDS", "300")]);
    signal(app.pid(), "INT");
    assert_eq!(app.wait().code(), Some(0), "{}", app.output());
    assert!(app.output().contains("stopped"), "{}", app.output());
}
