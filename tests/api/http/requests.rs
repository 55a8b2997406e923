//! Methods, routes, headers and framing, byte by byte, as a hostile client sends them.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Connection, PASSWORD, RedisServer, Store, TestApp, raw, unique_email};

/// All routes, each with its `Allow`.
pub(super) const ROUTES: [(&str, &str); 14] = [
    ("/signup", "POST"),
    ("/authenticate", "GET, POST"),
    ("/user", "GET, DELETE"),
    ("/user/password", "PUT"),
    ("/refresh-access-token", "GET, POST"),
    ("/access-token", "DELETE"),
    ("/sessions", "GET, DELETE"),
    ("/sessions/AAAAAAAAAAAAAAAAAAAAAA", "DELETE"),
    ("/signout", "POST"),
    ("/introspect", "POST"),
    ("/revoke", "POST"),
    ("/.well-known/jwks.json", "GET, HEAD"),
    ("/livez", "GET, HEAD"),
    ("/readyz", "GET, HEAD"),
];
const LIVEZ: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn other_methods_are_405_with_allow_on_every_route() {
    let app = TestApp::start(Store::Embedded);
    for (path, allow) in ROUTES {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "get", "PROPFIND"] {
            if allow.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let headers = [("Max-Forwards", "0"), ("Authorization", "pL4nted")];
            let answer = app.send(method, path, &headers, None);
            answer.assert_error(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
            assert!(!answer.body.contains("pL4nted"), "{answer:?}");
        }
    }
    for overriding in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        app.send("GET", "/access-token", &[(overriding, "DELETE")], None).assert_error(405, "method_not_allowed");
    }
}

#[test]
fn options_is_204_with_allow_on_every_route() {
    let app = TestApp::start(Store::Embedded);
    for (path, allow) in ROUTES {
        let answer = app.send("OPTIONS", path, &[("Authorization", "pL4nted")], None);
        assert_eq!((answer.status, answer.header("allow")), (204, Some(allow)), "{path} {answer:?}");
        assert_eq!((answer.body.as_str(), answer.header("cache-control")), ("", Some("no-store")), "{path}");
    }
}

/// HEAD must not run a handler that creates tokens or reads the data of a user.
#[test]
fn head_is_405_except_for_public_routes_and_creates_nothing() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    let before = redis.keys();
    let body = json!({"email": session.email, "password": PASSWORD, "refresh_token": session.refresh_token});
    for (path, allow) in ROUTES {
        let headers = [("Authorization", session.access_token.as_str())];
        let answer = app.send("HEAD", path, &headers, Some(&body.to_string()));
        if allow.contains("HEAD") {
            assert_eq!((answer.status, answer.header("allow")), (200, None), "{path} {answer:?}");
            let get = app.send("GET", path, &[], None);
            for name in ["content-length", "content-type", "cache-control"] {
                assert_eq!(answer.header(name), get.header(name), "{path} {answer:?}");
            }
        } else {
            assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{path} {answer:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        }
        assert_eq!(answer.body, "", "{path}");
    }
    assert_eq!(redis.keys(), before);
}

#[test]
fn token_removal_off_leaves_the_route_without_methods() {
    let app = TestApp::start_with(Store::Embedded, &[("TOKEN_REMOVAL", "off")]);
    let session = app.new_session();
    let answer = app.remove_access_token(&session.email);
    answer.assert_error(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some(""));
    let options = app.send("OPTIONS", "/access-token", &[], None);
    assert_eq!((options.status, options.header("allow")), (204, Some("")));
    assert_eq!(app.current_user(&session.access_token).status, 200);
}

#[test]
fn unknown_routes_are_404() {
    let app = TestApp::start(Store::Embedded);
    for path in ["/", "/nothing-here", "/user/", "//user", "/User", "/user/..", "/./user", "/signup/x", "*"] {
        for method in ["GET", "POST", "OPTIONS", "DELETE"] {
            if path == "*" && method != "OPTIONS" {
                continue;
            }
            app.send(method, path, &[], None).assert_error(404, "route_not_found");
        }
    }
    let head = app.send("HEAD", "/nothing-here", &[], None);
    assert_eq!((head.status, head.body.as_str()), (404, ""), "{head:?}");
    app.send("GET", "http://elsewhere.example/nothing-here", &[], None).assert_error(404, "route_not_found");
}

/// Sends `bytes` and then a valid request, which the server must not answer. Returns the statuses of all answers until
/// the connection ends.
#[track_caller]
fn statuses_until_closed(app: &TestApp, bytes: &str) -> Vec<u16> {
    let mut connection = Connection::open(app.port());
    // An error means that the server has already closed the connection.
    let _ = connection.write(format!("{bytes}{LIVEZ}").as_bytes());
    let start = Instant::now();
    let statuses: Vec<_> = std::iter::from_fn(|| connection.read()).map(|answer| answer.status).collect();
    assert!(start.elapsed() < Duration::from_secs(5), "the connection stayed open: {bytes:?}");
    statuses
}

const MALFORMED_HEADERS: &[&str] = &[
    "Content-Length: 4\r\nContent-Length: 5\r\n\r\n{}  ",
    "Content-Length: 4, 4\r\n\r\n{}  ",
    "Content-Length: +4\r\n\r\n{}  ",
    "Content-Length: -4\r\n\r\n{}  ",
    "Content-Length: 0x4\r\n\r\n{}  ",
    "Content-Length: 4 4\r\n\r\n{}  ",
    "Content-Length:\r\n\r\n",
    "Content-Length: 99999999999999999999\r\n\r\n",
    "Content-Length : 4\r\n\r\n{}  ",
    "Content-Length: 4\r\n ,5\r\n\r\n{}  ",
    "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n",
    "X-Folded: a\r\n b\r\n\r\n",
    "X-Spaced : a\r\n\r\n",
    " X-Led-By-Space: a\r\n\r\n",
    "X-Without-Colon\r\n\r\n",
    "X-Nul: a\0b\r\n\r\n",
    "X-Return: a\rb\r\n\r\n",
    ": no name\r\n\r\n",
];

#[test]
fn a_malformed_request_is_answered_once_and_ends_the_connection() {
    let app = TestApp::start(Store::Embedded);
    for headers in MALFORMED_HEADERS {
        for route in ["POST /signup", "GET /livez"] {
            let request = format!("{route} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}");
            assert_eq!(statuses_until_closed(&app, &request), [400], "{request:?}");
        }
    }
    // RFC 9112, section 6.1: `Transfer-Encoding` overrides `Content-Length`, and the connection ends.
    for both in ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"] {
        let request = format!(
            "POST /signup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{both}\r\n\r\n0\r\n\r\n"
        );
        assert_eq!(statuses_until_closed(&app, &request), [400], "{request:?}");
    }
    for chunks in
        ["zz\r\n\r\n", "-1\r\n\r\n", "fffffffffffffffff\r\n{}\r\n", "2 2\r\n{}\r\n", "2\r\n{}X\r\n", "+2\r\n{}\r\n"]
    {
        let request = format!(
            "POST /signup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
        );
        assert_eq!(statuses_until_closed(&app, &request), [400], "{request:?}");
    }
    for line in
        ["GET /livez HTTP/1.2", "GET /livez", "GET  /livez HTTP/1.1", "GET /li vez HTTP/1.1", "\u{16}\u{3}\u{1}"]
    {
        assert_eq!(statuses_until_closed(&app, &format!("{line}\r\nHost: localhost\r\n\r\n")), [400], "{line:?}");
    }
    let old = "POST /signup HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(statuses_until_closed(&app, old), [400]);
    assert!(statuses_until_closed(&app, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").is_empty(), "HTTP/2 is not supported");
    assert_eq!(app.send("GET", "/livez", &[], None).status, 200);
    assert!(!app.output().contains("panicked"), "{}", app.output());
}

#[test]
fn http_1_1_needs_exactly_one_host_and_http_1_0_none() {
    let app = TestApp::start(Store::Embedded);
    for request in ["GET /livez HTTP/1.1\r\n\r\n", "GET /livez HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"] {
        raw::exchange(app.port(), request.as_bytes()).unwrap().assert_error(400, "invalid_host");
        assert_eq!(statuses_until_closed(&app, request), [400], "{request:?}");
    }
    let old = raw::exchange(app.port(), b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
    old.assert(200, &json!({"result": "Alive"}));
    let two = raw::exchange(app.port(), b"GET /livez HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n").unwrap();
    two.assert_error(400, "invalid_host");
}

#[test]
fn more_than_64_headers_are_431() {
    let app = TestApp::start(Store::Embedded);
    // The `Host` header counts, too.
    let with = |count: usize| app.send("GET", "/livez", &vec![("X-More", "y"); count - 1], None);
    assert_eq!(with(64).status, 200);
    with(65).assert_error(431, "too_many_headers");
    with(100).assert_error(431, "too_many_headers");
    assert_eq!(with(101).status, 431);
    assert_eq!(with(2000).status, 431);
}

#[test]
fn more_than_16_kib_of_headers_are_431() {
    let app = TestApp::start(Store::Embedded);
    let one = |bytes: usize| app.send("GET", "/livez", &[("X-Long", &"y".repeat(bytes))], None).status;
    assert_eq!(one(15 * 1024), 200);
    for bytes in [16 * 1024, 20_000, 70_000, 1_000_000] {
        assert_eq!(one(bytes), 431, "{bytes}");
    }
    let many = vec![("X-Long", "y".repeat(1000)); 20];
    let many: Vec<_> = many.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(app.send("GET", "/livez", &many, None).status, 431);
    assert_eq!(app.send("GET", &format!("/{}", "y".repeat(20_000)), &[], None).status, 431);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let app = TestApp::start(Store::Embedded);
    let email = unique_email();
    let body = json!({"email": email, "password": PASSWORD}).to_string();
    let json = ("Content-Type", "application/json");
    let mut bytes = Vec::new();
    // Slow requests, which hash a password, come first.
    let requests = [
        ("POST", "/signup", Some(body.as_str()), 201),
        ("GET", "/authenticate", Some(body.as_str()), 200),
        ("GET", "/nothing-here", None, 404),
        ("PUT", "/user", Some(body.as_str()), 405),
        ("POST", "/signup", Some(body.as_str()), 409),
        ("GET", "/livez", None, 200),
    ];
    for (n, (method, path, body, _)) in requests.into_iter().enumerate() {
        bytes.extend(raw::request(method, path, &[json, ("X-Request-Id", &n.to_string())], body));
    }
    let mut connection = Connection::open(app.port());
    connection.write(&bytes).unwrap();
    for (n, (method, path, _, status)) in requests.into_iter().enumerate() {
        let answer = connection.read().unwrap();
        let expected = (status, Some(n.to_string()));
        assert_eq!((answer.status, answer.header("x-request-id").map(str::to_owned)), expected, "{method} {path}");
    }
}
