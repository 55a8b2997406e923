//! The server cuts off clients that are slow, silent or idle, or that read nothing.

use std::{
    net::Shutdown,
    thread,
    time::{Duration, Instant},
};

use rstest::rstest;
use serde_json::json;

use crate::support::{Connection, PASSWORD, Session, Store, TestApp, alone, raw, unique_email, wait_longer};

/// The limits of the server are 5 and 8 seconds. The rest allows for a busy machine.
const CUT_OFF: Duration = Duration::from_secs(20);
const LIVEZ: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Writes `byte` again and again, slowly, until the server ends the connection.
#[track_caller]
fn drip(connection: &mut Connection, byte: &[u8]) {
    let start = Instant::now();
    while connection.is_silent(Duration::from_millis(200)) && connection.write(byte).is_ok() {
        assert!(start.elapsed() < CUT_OFF, "the connection is still open");
    }
}

/// Waits until the server ends the connection without sending anything more.
#[track_caller]
fn assert_ends(connection: &mut Connection) {
    let start = Instant::now();
    assert!(connection.is_closed());
    assert!(start.elapsed() < CUT_OFF, "it took {:?}", start.elapsed());
}

#[test]
fn a_slow_header_ends_the_connection() {
    let app = TestApp::start(Store::Embedded);
    thread::scope(|scope| {
        // A server may skip empty lines before a request, but the time limit must apply to them, too.
        for (first, rest) in [("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", "y"), ("", "\r\n")] {
            let mut connection = Connection::open(app.port());
            scope.spawn(move || {
                connection.write(first.as_bytes()).unwrap();
                drip(&mut connection, rest.as_bytes());
                assert_ends(&mut connection);
            });
        }
    });
}

#[test]
fn a_silent_connection_ends() {
    let app = TestApp::start(Store::Embedded);
    assert_ends(&mut Connection::open(app.port()));
}

#[test]
fn an_idle_connection_ends_after_keep_alive_seconds() {
    let app = TestApp::start_with(Store::Embedded, &[("KEEP_ALIVE_SECONDS", "1")]);
    let mut connection = Connection::open(app.port());
    for _ in 0..2 {
        connection.write(LIVEZ.as_bytes()).unwrap();
        assert_eq!(connection.read().unwrap().status, 200);
    }
    assert_ends(&mut connection);
    // The default is long, so that a load balancer ends the idle connection before the server does.
    let app = TestApp::start(Store::Embedded);
    let mut connection = Connection::open(app.port());
    connection.write(LIVEZ.as_bytes()).unwrap();
    assert_eq!(connection.read().unwrap().status, 200);
    assert!(connection.is_silent(Duration::from_secs(10)), "the connection has ended");
}

/// The first bytes of a request may arrive just before the idle time is over. Many connections try the moments around
/// this time.
#[test]
fn a_request_that_has_begun_is_never_cut_off_as_idle() {
    let app = TestApp::start_with(Store::Embedded, &[("KEEP_ALIVE_SECONDS", "1")]);
    let (first, rest) = LIVEZ.split_at(5);
    let answered: Vec<bool> = thread::scope(|scope| {
        let clients = (0..60).map(|n| {
            let app = &app;
            scope.spawn(move || {
                let mut connection = Connection::open(app.port());
                connection.write(LIVEZ.as_bytes()).unwrap();
                assert_eq!(connection.read().unwrap().status, 200);
                // The server may close before the first bytes arrive, but not after it has read them.
                if !connection.is_silent(Duration::from_millis(700 + 10 * n)) {
                    return false;
                }
                if connection.write(first.as_bytes()).is_err() || !connection.is_silent(Duration::from_millis(1_500)) {
                    assert!(connection.read().is_none());
                    return false;
                }
                connection.write(rest.as_bytes()).unwrap();
                assert_eq!(connection.read().map(|answer| answer.status), Some(200), "connection {n}");
                true
            })
        });
        clients.collect::<Vec<_>>().into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert!(answered.iter().filter(|answered| **answered).count() > 5, "{answered:?}");
}

#[test]
fn a_slow_body_is_408_and_ends_the_connection() {
    let app = TestApp::start(Store::Embedded);
    let port = app.port();
    let slow = |framing: (&'static str, &'static str), part: &'static [u8]| {
        thread::spawn(move || {
            let headers = [("Content-Type", "application/json"), framing];
            let mut connection = Connection::open(port);
            connection.write(&raw::request("GET", "/authenticate", &headers, None)).unwrap();
            if part.is_empty() {
                assert!(connection.is_silent(Duration::from_secs(1)), "the server waits for the body");
            } else {
                drip(&mut connection, part);
            }
            connection.read().unwrap().assert_error(408, "request_timeout");
            assert_ends(&mut connection);
        })
    };
    let counted = ("Content-Length", "1000");
    for client in [slow(counted, b""), slow(counted, b" "), slow(("Transfer-Encoding", "chunked"), b"1\r\n \r\n")] {
        client.join().unwrap();
    }
}

#[test]
fn a_client_that_reads_nothing_is_cut_off() {
    let app = TestApp::start(Store::Embedded);
    let mut connection = Connection::open(app.port());
    connection.set_write_timeout(Duration::from_secs(2));
    let requests = LIVEZ.repeat(1000);
    // Writes until the buffers of both sides are full.
    while connection.write(requests.as_bytes()).is_ok() {}
    // At growing intervals, Linux checks whether the client reads again, so the reset may come late.
    wait_longer(60, "the server resets the connection", || connection.was_reset());
}

/// The largest answer, a full page of sessions, so that each client holds what a client can hold.
#[test]
fn clients_that_pipeline_and_never_read_cost_little_memory() {
    let _turn = alone();
    let app = TestApp::start_with(
        Store::Embedded,
        &[("MAX_CONNECTIONS", "2000"), ("ACCESS_TOKEN_TTL_SECONDS", "3600"), ("REFRESH_TOKEN_TTL_SECONDS", "3600")],
    );
    let (email, user_agent) = (app.new_account(), "a".repeat(256));
    let account = json!({"email": email, "password": PASSWORD}).to_string();
    let sign_in = || app.send("POST", "/authenticate", &[("User-Agent", &user_agent)], Some(&account));
    for _ in 1..100 {
        assert_eq!(sign_in().status, 200);
    }
    let token = Session::of(&email, &sign_in()).access_token;
    let page = "/sessions?limit=100";
    assert!(app.send_as(&token, "GET", page, None).body.len() > 30_000);
    let request = raw::request("GET", page, &[("Authorization", &token)], None).repeat(100);
    let at_rest = app.memory("VmRSS");
    let clients: Vec<_> = (0..500)
        .map(|_| {
            let mut connection = Connection::open_with_small_buffers(app.port());
            connection.set_write_timeout(Duration::from_millis(10));
            while connection.write(&request).is_ok() {}
            connection
        })
        .collect();
    let memory = app.memory("VmRSS");
    // 80 kB for each client.
    assert!(memory < at_rest + 40, "{memory} MiB, and {at_rest} MiB at rest");
    assert_eq!(app.current_user(&token).status, 200);
    drop(clients);
}

/// A client may close its side of the connection after its request, and still read the answer.
#[rstest]
fn a_client_that_half_closes_gets_its_whole_answer(#[values(Store::Redis, Store::Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[("REQUEST_TIMEOUT_SECONDS", "60")]);
    let session = app.new_session();
    let json = ("Content-Type", "application/json");
    let account = json!({"email": session.email, "password": PASSWORD}).to_string();
    let new_account = json!({"email": unique_email(), "password": PASSWORD}).to_string();
    let get_user = raw::request("GET", "/user", &[("Authorization", &session.access_token)], None);
    for (requests, statuses) in [
        (get_user.clone(), &[200][..]),
        // The answer comes after a hash.
        (raw::request("POST", "/authenticate", &[json], Some(&account)), &[200]),
        (raw::request("POST", "/signup", &[json], Some(&new_account)), &[201]),
        (get_user.repeat(3), &[200, 200, 200]),
        (raw::request("GET", "/nowhere", &[], None), &[404]),
        // The rest of the body never comes.
        (raw::request("POST", "/authenticate", &[json, ("Content-Length", "100")], None), &[400]),
    ] {
        let mut connection = Connection::open(app.port());
        connection.write(&requests).unwrap();
        connection.shutdown(Shutdown::Write);
        for status in statuses {
            assert_eq!(connection.read().map(|answer| answer.status), Some(*status));
        }
        assert_ends(&mut connection);
    }
}

/// The server must not wait for more requests from a client that sends none.
#[test]
fn an_idle_client_that_half_closes_frees_its_connection_at_once() {
    let app = TestApp::start(Store::Embedded);
    for request in ["", LIVEZ, "GET /li"] {
        let mut connection = Connection::open(app.port());
        connection.write(request.as_bytes()).unwrap();
        if request == LIVEZ {
            assert_eq!(connection.read().unwrap().status, 200);
        }
        let start = Instant::now();
        connection.shutdown(Shutdown::Write);
        assert!(connection.is_closed());
        assert!(start.elapsed() < Duration::from_secs(5), "the server waited {:?}", start.elapsed());
    }
}
