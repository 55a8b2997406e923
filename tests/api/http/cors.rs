//! `CORS_ORIGINS`: the headers that let pages of other origins read the answers. tests/browser shows their effect.

use std::{collections::BTreeSet, thread};

use serde_json::json;

use crate::support::{
    Answer, Keys, PASSWORD, RedisServer, SECRETS, SLOW_HASH, Store, TestApp, assert_says, expired_access_token,
    refused, text, unique_email, wait_longer, wait_until,
};

const ORIGIN: &str = "https://app.example.com";
const OTHER: &str = "http://localhost:5173";
const NAMED: (&str, &str) = ("CORS_ORIGINS", "https://app.example.com, http://localhost:5173");
const FROM_PAGE: (&str, &str) = ("Origin", ORIGIN);

/// The headers of the CORS protocol, and `Vary`, without the ordinary headers.
fn cors_headers(answer: &Answer) -> Vec<(&str, &str)> {
    let is_cors = |name: &str| name.starts_with("access-control-") || name == "vary";
    let mut headers: Vec<_> =
        answer.headers.iter().filter(|(name, _)| is_cors(name)).map(|(n, v)| (n.as_str(), v.as_str())).collect();
    headers.sort_unstable();
    headers
}

/// Asserts that pages of this origin can read the answer, and that only browsers without cookies can.
#[track_caller]
fn assert_readable(answer: &Answer, origin: &str) {
    let expected = [
        ("access-control-allow-origin", origin),
        ("access-control-expose-headers", "Access-Token, Retry-After, WWW-Authenticate, X-Request-Id"),
        ("vary", "Origin"),
    ];
    assert_eq!(cors_headers(answer), expected, "{answer:?}");
}

#[track_caller]
fn assert_unreadable(answer: &Answer) {
    assert_eq!(cors_headers(answer), [("vary", "Origin")], "{answer:?}");
}

#[test]
fn each_success_can_be_read_by_a_named_origin() {
    let app = TestApp::start_with(Store::Embedded, &[NAMED]);
    let account = json!({"email": unique_email(), "password": PASSWORD}).to_string();
    let send = |status: u16, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>| {
        let answer = app.send(method, path, &[headers, &[FROM_PAGE]].concat(), body);
        assert_eq!(answer.status, status, "{method} {path} {answer:?}");
        assert_readable(&answer, ORIGIN);
        answer.json()
    };
    send(201, "POST", "/signup", &[], Some(&account));
    let signed_in = send(200, "POST", "/authenticate", &[], Some(&account));
    let token = ("Authorization", signed_in["access_token"].as_str().unwrap());
    let refresh = json!({"refresh_token": signed_in["refresh_token"]}).to_string();
    send(200, "GET", "/user", &[token], None);
    send(200, "GET", "/sessions", &[token], None);
    send(200, "POST", "/refresh-access-token", &[], Some(&refresh));
    send(200, "DELETE", "/access-token", &[token], None);
    send(200, "GET", "/livez", &[], None);
    send(200, "GET", "/readyz", &[], None);
    assert_readable(&app.send("HEAD", "/livez", &[FROM_PAGE], None), ORIGIN);
    assert_readable(&app.send("GET", "/livez", &[("Origin", OTHER)], None), OTHER);
}

#[test]
fn a_renewed_access_token_can_be_read() {
    let app = TestApp::start_with(Store::Embedded, &[&SECRETS[..], &[NAMED]].concat());
    let session = app.new_session();
    let expired = expired_access_token(&session);
    let headers = [FROM_PAGE, ("Authorization", &expired), ("Refresh-Token", &session.refresh_token)];
    let answer = app.send("GET", "/user", &headers, None);
    assert_eq!((answer.status, answer.header("access-token").is_some()), (200, true), "{answer:?}");
    assert_readable(&answer, ORIGIN);
}

#[test]
fn each_refusal_can_be_read_by_a_named_origin() {
    let app = TestApp::start_with(Store::Embedded, &[NAMED]);
    let session = app.new_session();
    let account = json!({"email": session.email, "password": PASSWORD}).to_string();
    let wrong = json!({"email": session.email, "password": "wrong password"}).to_string();
    let check = |status: u16, code: &str, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>| {
        let answer = app.send(method, path, &[headers, &[FROM_PAGE]].concat(), body);
        answer.assert_error(status, code);
        assert_readable(&answer, ORIGIN);
    };
    check(400, "invalid_json", "POST", "/signup", &[], Some("["));
    check(400, "query_not_allowed", "GET", "/user?x", &[], None);
    check(400, "invalid_host", "GET", "/livez", &[("Host", "two")], None);
    check(401, "token_missing", "GET", "/user", &[], None);
    check(401, "invalid_token", "GET", "/user", &[("Authorization", "x")], None);
    check(401, "invalid_credentials", "POST", "/authenticate", &[], Some(&wrong));
    check(404, "route_not_found", "GET", "/nothing-here", &[], None);
    check(404, "token_not_found", "DELETE", "/access-token", &[], Some(r#"{"email": "no@body.example"}"#));
    check(405, "method_not_allowed", "POST", "/user", &[], Some("{}"));
    check(409, "email_taken", "POST", "/signup", &[], Some(&account));
    check(413, "body_too_large", "POST", "/signup", &[], Some(&" ".repeat(20_000)));
    check(415, "unsupported_media_type", "POST", "/signup", &[("Content-Type", "text/plain")], Some("{}"));
    check(415, "unsupported_encoding", "POST", "/signup", &[("Content-Encoding", "gzip")], Some("{}"));
    check(431, "too_many_headers", "GET", "/livez", &[("X-More", "y"); 64], None);
    wait_until("a guess is throttled", || app.send("POST", "/authenticate", &[FROM_PAGE], Some(&wrong)).status == 429);
    check(429, "too_many_attempts", "POST", "/authenticate", &[], Some(&wrong));
}

#[test]
fn failures_of_the_server_can_be_read_by_a_named_origin() {
    let mut redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[NAMED, ("SHUTDOWN_DELAY_SECONDS", "30")]);
    let session = app.new_session();
    let user = || app.send("GET", "/user", &[FROM_PAGE, ("Authorization", &session.access_token)], None);
    redis.command::<()>(&["SET", &Keys::of(&session).access(), "nonsense"]);
    let broken = user();
    broken.assert_error(500, "internal_error");
    assert_readable(&broken, ORIGIN);
    redis.kill();
    wait_until("the server notices the outage", || user().status == 503);
    let away = user();
    away.assert_error(503, "store_unreachable");
    assert_readable(&away, ORIGIN);
    app.terminate();
    let ready = || app.send("GET", "/readyz", &[FROM_PAGE], None);
    wait_until("the shutdown has begun", || ready().json()["code"] == "shutting_down");
    ready().assert_error(503, "shutting_down");
    assert_readable(&ready(), ORIGIN);
}

#[test]
fn a_missed_deadline_and_overload_can_be_read_by_a_named_origin() {
    let app = TestApp::start_with(Store::Embedded, &[&SLOW_HASH[..], &[NAMED]].concat());
    let mut codes = BTreeSet::new();
    // The first hashes miss their deadline. While they still run, further requests find all hashing threads busy.
    wait_longer(60, "both codes have come", || {
        thread::scope(|scope| {
            let sent = (0..8).map(|_| {
                scope.spawn(|| {
                    let body = json!({"email": unique_email(), "password": PASSWORD}).to_string();
                    app.send("POST", "/authenticate", &[FROM_PAGE], Some(&body))
                })
            });
            for answer in sent.collect::<Vec<_>>() {
                let answer = answer.join().unwrap();
                assert_eq!(answer.status, 503, "{answer:?}");
                assert_readable(&answer, ORIGIN);
                codes.insert(text(&answer, "code"));
            }
        });
        ["deadline_exceeded", "overloaded"].iter().all(|code| codes.contains(*code))
    });
}

#[test]
fn a_preflight_names_the_methods_of_the_route() {
    let app = TestApp::start_with(Store::Embedded, &[NAMED]);
    let preflight = |path: &str, origin: &str, method: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", method),
            ("Access-Control-Request-Headers", "authorization,content-type"),
        ];
        app.send("OPTIONS", path, &headers, None)
    };
    for (path, methods) in [
        ("/signup", "POST"),
        ("/authenticate", "GET, POST"),
        ("/refresh-access-token", "GET, POST"),
        ("/access-token", "DELETE"),
        ("/user", "GET, DELETE"),
        ("/user/password", "PUT"),
        ("/sessions", "GET, DELETE"),
        ("/sessions/AAAAAAAAAAAAAAAAAAAAAA", "DELETE"),
        ("/signout", "POST"),
        ("/livez", "GET, HEAD"),
    ] {
        // The answer does not depend on the method that the page asks for.
        for method in ["POST", "DELETE", "PATCH"] {
            let answer = preflight(path, ORIGIN, method);
            assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{path} {answer:?}");
            assert_eq!(answer.header("allow"), Some(methods), "{path}");
            let expected = [
                ("access-control-allow-headers", "Content-Type, Authorization, Refresh-Token, X-Request-Id"),
                ("access-control-allow-methods", methods),
                ("access-control-allow-origin", ORIGIN),
                ("access-control-max-age", "7200"),
                ("vary", "Origin"),
            ];
            assert_eq!(cors_headers(&answer), expected, "{path}");
        }
        let other = preflight(path, "https://evil.example", "POST");
        assert_eq!((other.status, other.header("allow")), (204, Some(methods)), "{path} {other:?}");
        assert_unreadable(&other);
    }
    // The page can then read the 404 of the request itself.
    let unknown = preflight("/nothing-here", ORIGIN, "POST");
    assert_eq!((unknown.status, unknown.header("access-control-allow-origin")), (204, Some(ORIGIN)), "{unknown:?}");
    assert_eq!(unknown.header("access-control-allow-methods"), None, "{unknown:?}");
    preflight("/nothing-here", "https://evil.example", "POST").assert_error(404, "route_not_found");
    app.send("OPTIONS", "/nothing-here", &[FROM_PAGE], None).assert_error(404, "route_not_found");
}

#[test]
fn an_origin_that_is_not_named_reads_nothing_and_every_answer_varies() {
    let app = TestApp::start_with(Store::Embedded, &[NAMED]);
    let token = app.new_session().access_token;
    for origin in [
        "https://evil.example",
        "https://app.example.com:8443",
        "http://app.example.com",
        "https://app.example.com.evil.example",
        "https://APP.example.com",
        "https://app.example.com/",
        "https://app.example.com, http://localhost:5173",
        "http://localhost",
        "null",
        "*",
        "",
    ] {
        for (path, status) in [("/user", 200), ("/nothing-here", 404), ("/user?x", 400)] {
            let answer = app.send("GET", path, &[("Origin", origin), ("Authorization", &token)], None);
            assert_eq!(answer.status, status, "{answer:?}");
            assert_unreadable(&answer);
        }
    }
    for (path, status) in [("/livez", 200), ("/user", 401)] {
        let answer = app.send("GET", path, &[], None);
        assert_eq!(answer.status, status, "{answer:?}");
        assert_unreadable(&answer);
    }
}

#[test]
fn without_cors_origins_no_answer_mentions_cors() {
    let app = TestApp::start(Store::Embedded);
    for (method, path, status) in [("GET", "/livez", 200), ("GET", "/nothing-here", 404), ("OPTIONS", "/user", 204)] {
        let headers = [FROM_PAGE, ("Access-Control-Request-Method", "GET")];
        let answer = app.send(method, path, &headers, None);
        assert_eq!((answer.status, cors_headers(&answer)), (status, vec![]), "{answer:?}");
    }
}

#[test]
fn a_star_lets_every_origin_read_unless_removal_is_open() {
    let app = TestApp::start_with(Store::Embedded, &[("CORS_ORIGINS", "*"), ("TOKEN_REMOVAL", "owner")]);
    for origin in ["https://any.example", "null"] {
        assert_readable(&app.send("GET", "/user", &[("Origin", origin)], None), "*");
    }
    assert_unreadable(&app.send("GET", "/livez", &[], None));
    let said = refused(&[("CORS_ORIGINS", "*")]);
    assert_says(&said, &["CORS_ORIGINS must not be * while TOKEN_REMOVAL=open", "set TOKEN_REMOVAL to owner or off"]);
}

#[test]
fn a_wrong_origin_stops_the_start_and_is_named() {
    let said = refused(&[("CORS_ORIGINS", "https://right.example,https://Wrong.example/,wrong.example")]);
    let corrected = r#"CORS_ORIGINS has a wrong entry, "https://Wrong.example/": write https://wrong.example"#;
    assert_says(&said, &[corrected, r#"CORS_ORIGINS has a wrong entry, "wrong.example": an origin has the form"#]);
    assert!(!said.contains("right.example"), "{said}");
}
