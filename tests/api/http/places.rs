//! How many connections there may be, for all clients and for each address, and which connection makes room for
//! another one.

use std::{net::Ipv4Addr, time::Duration};

use serde_json::Value;

use crate::support::{Connection, PROXY, Store, TestApp, raw, wait_until};

const LIVEZ: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// So long that the server has recorded the end of an answer before the next request begins.
const MOMENT: Duration = Duration::from_millis(100);

/// Asserts that a request on the connection is served. Afterwards, the connection is idle.
#[track_caller]
fn ask(connection: &mut Connection) {
    connection.write(LIVEZ.as_bytes()).unwrap();
    assert_eq!(connection.read().map(|answer| answer.status), Some(200));
    assert!(connection.is_silent(MOMENT));
}

/// A new connection on which a request is served.
#[track_caller]
fn served(app: &TestApp) -> Connection {
    let mut connection = Connection::open(app.port());
    ask(&mut connection);
    connection
}

fn warnings(app: &TestApp, setting: &str) -> Vec<Value> {
    let is_one = |line: &Value| line["message"].as_str().is_some_and(|message| message.contains(setting));
    app.log().into_iter().filter(is_one).collect()
}

#[test]
fn for_one_more_connection_the_one_that_has_been_idle_longest_ends() {
    let app = TestApp::start_with(Store::Embedded, &[("MAX_CONNECTIONS", "4")]);
    let mut open: Vec<_> = (0..4).map(|_| served(&app)).collect();
    for _ in 0..3 {
        // The first is now the one that has been idle for the shortest time.
        ask(&mut open[0]);
        let next = served(&app);
        let mut longest = open.remove(1);
        assert!(longest.is_closed());
        open.push(next);
        open.iter_mut().for_each(ask);
    }
    assert_eq!(warnings(&app, "MAX_CONNECTIONS=4").len(), 1, "{}", app.output());
}

#[test]
fn a_connection_that_has_sent_nothing_is_idle_too() {
    let app = TestApp::start_with(Store::Embedded, &[("MAX_CONNECTIONS", "2")]);
    let mut silent = Connection::open(app.port());
    assert!(silent.is_silent(MOMENT));
    let mut idle = served(&app);
    let mut next = served(&app);
    assert!(silent.is_closed());
    ask(&mut idle);
    ask(&mut next);
}

#[test]
fn a_connection_whose_request_has_begun_makes_no_room() {
    let app = TestApp::start_with(Store::Embedded, &[("MAX_CONNECTIONS", "3")]);
    let headers = [("Content-Type", "application/json"), ("Content-Length", "2")];
    let whole = raw::request("POST", "/signout", &headers, None);
    let mut begun: Vec<_> = [&LIVEZ.as_bytes()[..1], &LIVEZ.as_bytes()[..LIVEZ.len() - 1], &whole]
        .map(|part| {
            let mut connection = Connection::open(app.port());
            connection.write(part).unwrap();
            assert!(connection.is_silent(MOMENT));
            connection
        })
        .into();
    let mut next = Connection::open(app.port());
    next.write(LIVEZ.as_bytes()).unwrap();
    assert!(next.is_silent(Duration::from_secs(1)), "no connection is idle");
    for (connection, (rest, status)) in begun.iter_mut().zip([(&LIVEZ[1..], 200), ("\n", 200), ("{}", 401)]) {
        connection.write(rest.as_bytes()).unwrap();
        assert_eq!(connection.read().map(|answer| answer.status), Some(status));
    }
    assert_eq!(next.read().map(|answer| answer.status), Some(200), "one of the others has become idle");
}

#[test]
fn clients_that_hold_all_connections_keep_nobody_out() {
    let app = TestApp::start_with(Store::Embedded, &[("MAX_CONNECTIONS", "20")]);
    let slow: Vec<_> = (0..20)
        .map(|n| {
            let mut connection = Connection::open(app.port());
            let parts = ["GET /li", "GET /livez HTTP/1.1\r\nHost: localhost\r\n"];
            connection.write(parts[n % parts.len()].as_bytes()).unwrap();
            connection
        })
        .collect();
    let mut next = Connection::open(app.port());
    next.write(LIVEZ.as_bytes()).unwrap();
    assert!(next.is_silent(Duration::from_millis(500)), "no connection is free");
    // The server waits 8 seconds for the head of a request.
    assert_eq!(next.read().unwrap().status, 200);
    wait_until("new clients are served", || app.send("GET", "/livez", &[], None).status == 200);
    drop(slow);
}

#[test]
fn connections_beyond_those_of_an_address_are_closed_at_once() {
    let app = TestApp::start_with(Store::Embedded, &[("MAX_CONNECTIONS_PER_ADDRESS", "3")]);
    let mut open: Vec<_> = (0..3).map(|_| served(&app)).collect();
    for _ in 0..5 {
        assert!(Connection::open(app.port()).is_closed());
    }
    open.iter_mut().for_each(ask);
    ask(&mut Connection::open_from(Ipv4Addr::new(127, 0, 0, 2), app.port()));
    let warnings = warnings(&app, "MAX_CONNECTIONS_PER_ADDRESS=3");
    assert_eq!(warnings.len(), 1, "a client decides how often this happens: {warnings:?}");
    assert_eq!((&warnings[0]["level"], &warnings[0]["address"]), (&"WARN".into(), &"127.0.0.1".into()));
    assert!(warnings[0]["message"].as_str().unwrap().contains("TRUSTED_PROXIES"), "{warnings:?}");
    // A connection that ends frees its place.
    drop(open.pop());
    wait_until("the address has a connection again", || {
        let mut connection = Connection::open(app.port());
        connection.write(LIVEZ.as_bytes()).is_ok() && connection.read().is_some_and(|answer| answer.status == 200)
    });
}

#[test]
fn a_trusted_proxy_has_as_many_connections_as_there_are() {
    for unlimited in [PROXY, ("MAX_CONNECTIONS_PER_ADDRESS", "0")] {
        let settings = [("MAX_CONNECTIONS_PER_ADDRESS", "3"), unlimited];
        let app = TestApp::start_with(Store::Embedded, &settings);
        let mut open: Vec<_> = (0..10).map(|_| Connection::open(app.port())).collect();
        open.iter_mut().for_each(ask);
        assert!(warnings(&app, "MAX_CONNECTIONS_PER_ADDRESS").is_empty());
    }
}
