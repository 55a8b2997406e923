//! `/forward-auth`: a proxy asks who sends a request. `tests/failover/forward_auth.rs` runs it behind real proxies.

use rstest::rstest;

use crate::support::{
    Answer, Connection, PASSWORD, RedisServer,
    Store::{self, Embedded, Redis},
    TestApp, assert_away, claims, raw, text, wait_until,
};

const IDENTITY: [&str; 3] = ["x-user-id", "x-user-email", "x-session-id"];

/// Asserts that the answer is exactly 200 and has each identity header once.
#[track_caller]
fn assert_identity(answer: &Answer, access_token: &str, email: &str) {
    let claims = claims(access_token);
    assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{answer:?}");
    let expected = [claims["sub"].as_str().unwrap(), email, claims["sid"].as_str().unwrap()];
    for (name, expected) in IDENTITY.into_iter().zip(expected) {
        let values: Vec<_> = answer.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value).collect();
        assert_eq!(values, [expected], "{name} {answer:?}");
    }
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    assert!(answer.header("x-request-id").is_some() && answer.header("access-token").is_none(), "{answer:?}");
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    answer.assert_error(status, code);
    let names = answer.headers.iter().map(|(name, _)| name.as_str());
    let leaked: Vec<_> = names.filter(|name| IDENTITY.contains(name) || *name == "access-token").collect();
    assert!(leaked.is_empty(), "{answer:?}");
}

fn ask(app: &TestApp, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    raw::exchange(app.port(), &raw::request(method, path, headers, None)).unwrap()
}

#[rstest]
fn every_method_path_and_query_is_answered_with_the_identity(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let bearer = format!("Bearer {}", session.access_token);
    let methods =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY", "get", "X-CUSTOM-METHOD"];
    for method in methods {
        let answer = ask(&app, method, "/forward-auth/some/page?x=1", &[("Authorization", &bearer)]);
        assert_identity(&answer, &session.access_token, &session.email);
    }
    let forged = [("X-User-Id", "forged"), ("X-User-Email", "forged@example.com"), ("X_Session_Id", "forged")];
    let preflight = [("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "PUT")];
    let headers = [&[("Authorization", session.access_token.as_str())], &forged[..], &preflight].concat();
    for path in [
        "/forward-auth",
        "/forward-auth/",
        "/forward-auth//",
        "/forward-auth//private",
        "/forward-auth/public/../private",
        "/forward-auth/%2e%2E/user",
        "/forward-auth/a%2Fb%00%zz",
        "/forward-auth?access_token=a.b.c&access_token=x",
        "/forward-auth/?%2e%2e//&limit=1",
        "/forward-auth/x?redirect=https://example.com/?a=b",
        "/%66orward-auth/x",
        "http://elsewhere.example/forward-auth/x?y",
    ] {
        assert_identity(&ask(&app, "OPTIONS", path, &headers), &session.access_token, &session.email);
    }
    for path in ["/forward-authx", "/Forward-Auth", "//forward-auth", "/forward-auth%2Fx"] {
        ask(&app, "GET", path, &[("Authorization", &bearer)]).assert_error(404, "route_not_found");
    }
}

#[rstest]
fn anything_but_a_live_access_token_is_refused_without_an_identity(#[values(Redis, Embedded)] store: Store) {
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "600"), ("REFRESH_TOKEN_TTL_SECONDS", "600")];
    let app = TestApp::start_with(store, &settings);
    let (live, removed, signed_out) = (app.new_session(), app.new_session(), app.new_session());
    assert_eq!(app.remove_access_token(&removed.email).status, 200);
    assert_eq!(app.send_as(&signed_out.access_token, "POST", "/signout", None).status, 200);
    let in_query = format!("/forward-auth/x?access_token={0}&token={0}", live.access_token);
    let cookie = format!("access_token={}", live.access_token);
    let forged = format!("{}x", live.access_token);
    for (method, path) in [("GET", "/forward-auth"), ("POST", "/forward-auth/x"), ("OPTIONS", in_query.as_str())] {
        for (token, code) in [
            (None, "token_missing"),
            (Some(""), "token_missing"),
            (Some("Basic dXNlcjpwYXNz"), "token_missing"),
            (Some(forged.as_str()), "invalid_token"),
            (Some(&live.refresh_token), "invalid_token"),
            (Some(&removed.access_token), "invalid_token"),
            (Some(&signed_out.access_token), "invalid_token"),
        ] {
            let token = token.map(|token| ("Authorization", token));
            let headers: Vec<_> = token.into_iter().chain([("X-User-Id", "forged"), ("Cookie", &cookie)]).collect();
            let answer = ask(&app, method, path, &headers);
            assert_refused(&answer, 401, code);
            let challenge = if code == "token_missing" { "Bearer" } else { r#"Bearer error="invalid_token""# };
            assert_eq!(answer.header("www-authenticate"), Some(challenge), "{token:?}");
        }
        let twice = [("Authorization", live.access_token.as_str()); 2];
        assert_refused(&ask(&app, method, path, &twice), 400, "ambiguous_token");
        let refresh_tokens = [("Refresh-Token", live.refresh_token.as_str()); 2];
        let headers = [&refresh_tokens[..], &[("Authorization", live.access_token.as_str())]].concat();
        assert_identity(&ask(&app, method, path, &headers), &live.access_token, &live.email);
    }
    let token = [("Authorization", live.access_token.as_str())];
    for method in ["TRACE", "CONNECT"] {
        let answer = ask(&app, method, "/forward-auth/x", &token);
        assert_refused(&answer, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    assert!(!app.output().contains(&live.access_token));
}

#[rstest]
fn an_expired_token_is_never_renewed(#[values(Redis, Embedded)] store: Store) {
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "1"), ("REFRESH_TOKEN_TTL_SECONDS", "60")];
    let app = TestApp::start_with(store, &settings);
    let session = app.new_session();
    let headers = [("Authorization", session.access_token.as_str()), ("Refresh-Token", session.refresh_token.as_str())];
    wait_until("the access token expires", || ask(&app, "GET", "/forward-auth", &headers).status != 200);
    assert_refused(&ask(&app, "GET", "/forward-auth", &headers), 401, "token_expired");
    // The same tokens are renewed elsewhere.
    let renewed = app.send("GET", "/user", &headers, None);
    let answer = ask(&app, "GET", "/forward-auth", &[("Authorization", &text(&renewed, "access_token"))]);
    assert_identity(&answer, &text(&renewed, "access_token"), &session.email);
}

/// A proxy repeats the headers of a body that it does not send, or sends a body that is not for this server.
#[rstest]
fn bodies_are_ignored_and_never_read_as_a_request(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let with = |headers: &[(&'static str, &'static str)], body: Option<&str>| {
        let headers = [headers, &[("Authorization", session.access_token.as_str())]].concat();
        raw::request("POST", "/forward-auth/upload", &headers, body)
    };
    let inner = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let large = "x".repeat(100_000);
    for (headers, body) in [
        (&[][..], None),
        (&[("Content-Type", "text/xml"), ("Content-Encoding", "gzip")], None),
        (&[("Content-Encoding", "br"), ("Content-Encoding", "zstd")], Some(inner)),
        (&[("Content-Type", "multipart/form-data; boundary=x")], Some(inner)),
        (&[("Content-Type", "application/json")], Some("{not json")),
        (&[("Content-Encoding", "gzip")], Some(large.as_str())),
        (&[("Expect", "100-continue")], None),
    ] {
        let mut connection = Connection::open(app.port());
        // The server may close the connection while it still gets the large body.
        let _ = connection.write(&with(headers, body));
        assert_identity(&connection.read().unwrap(), &session.access_token, &session.email);
        if body != Some(&large) {
            connection.write(&raw::request("GET", "/forward-auth", &[], None)).unwrap();
            assert_refused(&connection.read().unwrap(), 401, "token_missing");
        }
    }
    let chunked = [
        with(&[("Transfer-Encoding", "chunked")], None),
        format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len()).into_bytes(),
    ];
    let mut connection = Connection::open(app.port());
    connection.write(&[&chunked.concat()[..], &raw::request("GET", "/forward-auth", &[], None)].concat()).unwrap();
    assert_identity(&connection.read().unwrap(), &session.access_token, &session.email);
    if let Some(second) = connection.read() {
        assert_refused(&second, 401, "token_missing");
    }
    assert!(app.request_log().iter().all(|line| line["route"] != "/livez"), "{}", app.output());
}

/// Applications get ASCII, and a proxy that expands variables in a header must find none expanded by the server.
#[rstest]
fn the_email_has_the_spelling_of_the_sign_up_and_an_ascii_domain(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let id = std::process::id();
    for (spelling, ascii) in [
        (format!("O'Neil+{id}@M\u{dc}NCHEN.example"), format!("O'Neil+{id}@xn--mnchen-3ya.example")),
        (format!("{{host}}$host%{id}@Example.COM"), format!("{{host}}$host%{id}@Example.COM")),
    ] {
        assert_eq!(app.sign_up(&spelling, PASSWORD).status, 201);
        let session = app.session_of(&spelling);
        let answer = ask(&app, "GET", "/forward-auth", &[("Authorization", &session.access_token)]);
        assert_identity(&answer, &session.access_token, &ascii);
    }
}

#[test]
fn without_redis_the_answer_is_503_and_never_401() {
    let mut redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    let ask = || ask(&app, "POST", "/forward-auth/x", &[("Authorization", &session.access_token)]);
    let assert_unavailable = || {
        let answer = ask();
        assert_away(&answer);
        assert!(answer.headers.iter().all(|(name, _)| !IDENTITY.contains(&name.as_str())), "{answer:?}");
    };
    redis.freeze();
    (0..3).for_each(|_| assert_unavailable());
    redis.thaw();
    wait_until("the server serves again", || ask().status == 200);
    redis.kill();
    (0..3).for_each(|_| assert_unavailable());
    // Who is nobody even with a store is refused at once.
    let refused = raw::exchange(app.port(), &raw::request("GET", "/forward-auth", &[], None)).unwrap();
    assert_refused(&refused, 401, "token_missing");
}
