//! Request bodies before the JSON parser: size, type, framing, and bodies that the server does not read.

use std::net::Shutdown;

use serde_json::json;

use crate::support::{
    BODY_ROUTES, Connection, JSON, METRICS, PASSWORD, Store, TestApp, raw, request_of_bytes, send_body, sign_up_with,
    unique_email,
};

const LIMIT: usize = 16 * 1024;

/// The body of a valid sign-up, padded with spaces to `length`.
fn padded(email: &str, length: usize) -> String {
    let mut body = json!({"email": email, "password": PASSWORD}).to_string();
    body += &" ".repeat(length - body.len());
    body
}

#[test]
fn bodies_over_16_kib_are_413_before_parsing() {
    let app = TestApp::start(Store::Embedded);
    let token = app.new_session().access_token;
    let not_even_json = "x".repeat(LIMIT + 1);
    for route in BODY_ROUTES {
        send_body(&app, &token, route, not_even_json.as_bytes()).assert_error(413, "body_too_large");
    }
    assert_eq!(sign_up_with(&app, padded(&unique_email(), LIMIT)).status, 201);
    let email = unique_email();
    sign_up_with(&app, padded(&email, LIMIT + 1)).assert_error(413, "body_too_large");
    assert_eq!(app.authenticate(&email, PASSWORD).status, 401, "no account was created");
    // The announced length is enough for a 413: the client sends no byte of the body.
    let head = raw::request("POST", "/signup", &[JSON, ("Content-Length", "10737418240")], None);
    raw::exchange(app.port(), &head).unwrap().assert_error(413, "body_too_large");
    let asking =
        raw::request("POST", "/signup", &[JSON, ("Content-Length", "16385"), ("Expect", "100-continue")], None);
    raw::exchange(app.port(), &asking).unwrap().assert_error(413, "body_too_large");
}

#[test]
fn chunked_bodies_over_16_kib_are_413_and_the_rest_is_not_read() {
    let app = TestApp::start(Store::Embedded);
    let head = raw::request("POST", "/signup", &[JSON, ("Transfer-Encoding", "chunked")], None);
    let chunked = |body: &str| {
        let mut bytes = head.clone();
        for part in body.as_bytes().chunks(1000) {
            bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        raw::exchange(app.port(), &bytes).unwrap()
    };
    assert_eq!(chunked(&padded(&unique_email(), LIMIT)).status, 201);
    chunked(&padded(&unique_email(), LIMIT + 1)).assert_error(413, "body_too_large");

    let mut connection = Connection::open(app.port());
    connection.write(&head).unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", LIMIT, " ".repeat(LIMIT));
    let endless = (0..8192).all(|_| connection.write(chunk.as_bytes()).is_ok());
    assert!(!endless, "the server has read 128 MB");
    connection.read().unwrap().assert_error(413, "body_too_large");
    assert!(connection.is_closed());
}

#[test]
fn a_body_that_is_longer_or_shorter_than_it_says_is_never_used() {
    let app = TestApp::start(Store::Embedded);
    let body = json!({"email": unique_email(), "password": PASSWORD}).to_string();
    let says = |length: usize| {
        let length = length.to_string();
        let mut bytes = raw::request("POST", "/signup", &[JSON, ("Content-Length", &length)], None);
        bytes.extend_from_slice(body.as_bytes());
        bytes
    };
    let mut longer = Connection::open(app.port());
    longer.write(&says(10)).unwrap();
    longer.read().unwrap().assert_error(400, "invalid_json");
    // The server reads the rest as the next request, which is malformed.
    assert_eq!(longer.read().map(|answer| answer.status), Some(400));
    assert!(longer.is_closed());

    let mut shorter = Connection::open(app.port());
    shorter.write(&says(body.len() + 1)).unwrap();
    shorter.shutdown(Shutdown::Write);
    if let Some(answer) = shorter.read() {
        answer.assert_error(400, "invalid_body");
    }
    assert!(shorter.is_closed());
    let cut = raw::request("POST", "/signup", &[JSON, ("Transfer-Encoding", "chunked")], None);
    let cut = [cut, format!("{:x}\r\n{body}\r\nnot a size\r\n\r\n", body.len()).into_bytes()].concat();
    let mut cut_off = Connection::open(app.port());
    cut_off.write(&cut).unwrap();
    cut_off.read().unwrap().assert_error(400, "invalid_body");
    assert!(cut_off.is_closed());
    assert_eq!(sign_up_with(&app, &body).status, 201, "none of the requests created the account");
}

#[test]
fn a_content_type_other_than_json_is_415() {
    let app = TestApp::start(Store::Embedded);
    let token = app.new_session().access_token;
    for (method, path) in BODY_ROUTES {
        let with = |headers: &[(&str, &str)]| {
            let headers = [&[("Authorization", token.as_str())], headers].concat();
            raw::exchange(app.port(), &request_of_bytes(method, path, &headers, b"{}")).unwrap()
        };
        with(&[]).assert_error(415, "unsupported_media_type");
        for wrong in [
            "",
            "text/plain",
            "text/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "application/merge-patch+json",
            "application/json, text/plain",
            "text/plain; application/json",
        ] {
            with(&[("Content-Type", wrong)]).assert_error(415, "unsupported_media_type");
        }
        with(&[JSON, JSON]).assert_error(415, "unsupported_media_type");
        for right in ["application/json", "Application/JSON; charset=utf-8", "application/json;x=y"] {
            with(&[("Content-Type", right)]).assert_error(400, "validation_failed");
        }
    }
}

#[test]
fn a_password_over_1024_bytes_is_refused_before_hashing() {
    let app = TestApp::start_with(Store::Embedded, &[METRICS]);
    let hashes = || app.metric("hashing_duration_seconds_count").unwrap();
    for (path, hashed) in [("/signup", 201), ("/authenticate", 401)] {
        let with = |length| {
            let body = json!({"email": unique_email(), "password": "x".repeat(length)});
            app.send_json("POST", path, &body)
        };
        let before = hashes();
        with(1024 * 1024).assert_error(413, "body_too_large");
        let answer = with(1025);
        answer.assert_invalid(&["password"]);
        assert_eq!(answer.json()["fields"][0]["message"], "must not have more than 1024 bytes");
        assert_eq!(hashes(), before, "{path}");
        assert_eq!(with(1024).status, hashed);
        assert_eq!(hashes(), before + 1.0, "{path}");
    }
}

#[test]
fn an_unread_body_never_becomes_a_request() {
    let app = TestApp::start(Store::Embedded);
    let token = app.new_session().access_token;
    let smuggled = raw::request("GET", "/livez", &[("X-Request-Id", "smuggled")], None);
    let after = raw::request("GET", "/livez", &[("X-Request-Id", "after")], None);
    let authorized = ("Authorization", token.as_str());
    let text = ("Content-Type", "text/plain");
    for (method, path, headers, status) in [
        ("GET", "/livez", vec![], 200),
        ("GET", "/readyz", vec![], 200),
        ("GET", "/nothing-here", vec![], 404),
        ("PUT", "/signup", vec![], 405),
        ("TRACE", "/user", vec![authorized], 405),
        ("GET", "/authenticate", vec![text], 415),
        ("GET", "/user", vec![authorized, text], 415),
        ("GET", "/user", vec![authorized, authorized], 400),
        ("GET", "/user?x=y", vec![authorized], 400),
    ] {
        for size in [smuggled.len(), 1000 + smuggled.len(), 70_000 + smuggled.len()] {
            let body = [smuggled.repeat(size / smuggled.len()), vec![b' '; size % smuggled.len()]].concat();
            let head = [headers.clone(), vec![("X-Request-Id", "first")]].concat();
            let mut connection = Connection::open(app.port());
            // An error means that the server has closed the connection.
            let _ =
                connection.write(&request_of_bytes(method, path, &head, &body)).and_then(|()| connection.write(&after));
            let first = connection.read().unwrap();
            // The size of a body is checked before its type.
            let status = if status == 415 && size > LIMIT { 413 } else { status };
            assert_eq!((first.status, first.header("x-request-id")), (status, Some("first")), "{method} {path}");
            if let Some(second) = connection.read() {
                assert_eq!(second.header("x-request-id"), Some("after"), "{method} {path} {second:?}");
            }
        }
    }
    assert!(!app.output().contains("smuggled"), "{}", app.output());
}

#[test]
fn a_large_unread_body_ends_the_connection() {
    let app = TestApp::start(Store::Embedded);
    let body = vec![b' '; 5_000_000];
    for (path, status) in [("/livez", 200), ("/nothing-here", 404), ("/authenticate", 413)] {
        let mut connection = Connection::open(app.port());
        let _ = connection.write(&request_of_bytes("GET", path, &[JSON], &body));
        assert_eq!(connection.read().unwrap().status, status, "{path}");
        assert!(connection.is_closed(), "{path}");
    }
}

/// A proxy sends its next request on the same connection unless the answer says that the connection closes.
#[test]
fn an_answer_that_leaves_a_body_unread_says_that_the_connection_closes() {
    let app = TestApp::start(Store::Embedded);
    let chunked = |size: usize| format!("{size:x}\r\n{}\r\n0\r\n\r\n", " ".repeat(size)).into_bytes();
    for (path, size, status) in [("/livez", 20_000, 200), ("/nothing-here", 5_000, 404), ("/authenticate", 20_000, 413)]
    {
        let mut connection = Connection::open(app.port());
        let _ = connection.write(&request_of_bytes("GET", path, &[JSON], &vec![b' '; size]));
        let answer = connection.read().unwrap();
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{answer:?}");
    }
    let mut connection = Connection::open(app.port());
    let mut request = raw::request("POST", "/authenticate", &[JSON, ("Transfer-Encoding", "chunked")], None);
    request.extend(chunked(20_000));
    let _ = connection.write(&request);
    let answer = connection.read().unwrap();
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")), "{answer:?}");
}
