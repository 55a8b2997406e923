//! The answers of a running server must have the schemas and the headers of the document.

use rstest::rstest;
use serde_json::{Value, json};

use super::document::Document;
use crate::support::{
    Answer, Authenticator, CREDENTIALS, Mailbox, PASSWORD, RESOURCE_SERVERS, RedisServer, SECRETS, Session,
    Store::{self, Embedded, Redis},
    TestApp, expired_access_token, raw, request_of_bytes, text, unique_email, wait_until,
};

/// A server whose answers are compared with its document.
struct Described {
    app: TestApp,
    document: Document,
}

impl Described {
    fn new(app: TestApp) -> Self {
        let document = Document::of(&app);
        Self { app, document }
    }

    /// Sends a request to a path of the document, with this id in place of a parameter.
    #[track_caller]
    fn send(&self, method: &str, path: &str, id: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let target = format!("{}?{query}", path.replace("{id}", id));
        let body = body.map(|body| body.to_string());
        let answer = self.app.send(method, &target, headers, body.as_deref());
        self.document.assert_describes(method, path, &answer);
        answer
    }

    #[track_caller]
    fn send_json(&self, method: &str, path: &str, body: Value) -> Answer {
        self.send(method, path, "", &[], Some(body))
    }

    #[track_caller]
    fn send_as(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.send(method, path, "", &[("Authorization", &format!("Bearer {token}"))], body)
    }

    #[track_caller]
    fn send_form(&self, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        let answer = self.app.send_form(path, headers, form);
        self.document.assert_describes("POST", path, &answer);
        answer
    }

    #[track_caller]
    fn send_bytes(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let answer = raw::exchange(self.app.port(), &request_of_bytes(method, path, headers, body)).unwrap();
        self.document.assert_describes(method, path, &answer);
        answer
    }
}

#[track_caller]
fn assert_status(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
}

#[rstest]
fn of_accounts_and_tokens(#[values(Redis, Embedded)] store: Store, #[values("off", "on")] rotation: &str) {
    let server = Described::new(TestApp::start_with(store, &[("REFRESH_TOKEN_ROTATION", rotation)]));
    let account = json!({"email": unique_email(), "password": PASSWORD});
    assert_status(&server.send_json("POST", "/signup", account.clone()), 201);
    assert_status(&server.send_json("POST", "/signup", account.clone()), 409);
    for method in ["GET", "POST"] {
        let session = Session::of("", &server.send_json(method, "/authenticate", account.clone()));
        let refresh = json!({"refresh_token": session.refresh_token});
        assert_status(&server.send_json(method, "/refresh-access-token", refresh), 200);
        assert_status(&server.send_json(method, "/refresh-access-token", json!({"refresh_token": "x"})), 401);
        assert_status(&server.send_json(method, "/refresh-access-token", json!({})), 400);
        let wrong = json!({"email": account["email"], "password": "wrong"});
        assert_status(&server.send_json(method, "/authenticate", wrong), 401);
        assert_status(&server.send_as(&session.access_token, "GET", "/user", None), 200);
        let other = Some(json!({"email": unique_email()}));
        assert_status(&server.send_as(&session.access_token, "GET", "/user", other), 404);
        let removal = json!({"email": account["email"]});
        assert_status(&server.send_json("DELETE", "/access-token", removal.clone()), 200);
        assert_status(&server.send_json("DELETE", "/access-token", removal), 404);
        assert_status(&server.send_as(&session.access_token, "GET", "/user", None), 401);
        let removed = json!({"refresh_token": session.refresh_token});
        assert_status(&server.send_json(method, "/refresh-access-token", removed), 404);
    }
    let token = text(&server.send_json("POST", "/authenticate", account), "access_token");
    let change = |current: &str| Some(json!({"current_password": current, "new_password": "another password"}));
    assert_status(&server.send_as(&token, "PUT", "/user/password", change("wrong")), 403);
    let token = text(&server.send_as(&token, "PUT", "/user/password", change(PASSWORD)), "access_token");
    assert_status(&server.send_as(&token, "DELETE", "/user", Some(json!({"password": "wrong"}))), 403);
    assert_status(&server.send_as(&token, "DELETE", "/user", Some(json!({"password": 7}))), 400);
    assert_status(&server.send_as(&token, "DELETE", "/user", Some(json!({"password": "another password"}))), 200);
}

#[rstest]
fn of_links_in_mails(#[values(Redis, Embedded)] store: Store) {
    let mailbox = Mailbox::start();
    let settings = mailbox.settings();
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (*name, &**value)).collect();
    settings.push(("EMAIL_VERIFICATION", "required"));
    let server = Described::new(TestApp::start_with(store, &settings));
    let (email, new) = (unique_email(), unique_email());
    let account = json!({"email": email, "password": PASSWORD});
    assert_status(&server.send_json("POST", "/signup", account.clone()), 201);
    mailbox.wait_for(&email);
    assert_status(&server.send_json("POST", "/authenticate", account.clone()), 403);
    let verify = |token: &str| server.send_json("POST", "/email/verify", json!({"token": token}));
    assert_status(&verify(&mailbox.wait_for(&email).token()), 200);
    assert_status(&verify("verify_"), 400);
    assert_status(&server.send_json("POST", "/email/verify", json!({})), 400);
    let token = text(&server.send_json("POST", "/authenticate", account.clone()), "access_token");
    assert_status(&server.send_as(&token, "GET", "/user", None), 200);
    assert_status(&server.send_as(&token, "POST", "/email/verification", None), 202);
    assert_status(&server.send("POST", "/email/verification", "", &[], None), 401);
    let change = |password: &str| Some(json!({"email": new, "password": password}));
    assert_status(&server.send_as(&token, "PUT", "/user/email", change("wrong")), 403);
    assert_status(&server.send_as(&token, "PUT", "/user/email", change(PASSWORD)), 202);
    let link = mailbox.wait_for(&new).token();
    assert_status(&server.send_json("POST", "/password/forgot", json!({"email": email})), 202);
    assert_status(&server.send_json("POST", "/password/forgot", json!({"email": 7})), 400);
    let reset = |token: &str| json!({"token": token, "new_password": "another password"});
    assert_status(&server.send_json("POST", "/password/reset", reset("reset_")), 400);
    assert_status(&verify(&link), 200);
    assert_status(&server.send_json("POST", "/password/forgot", json!({"email": new})), 202);
    mailbox.wait_for(&email);
    let token = mailbox.wait_for(&new).token();
    assert_status(&server.send_json("POST", "/password/reset", reset(&token)), 200);
}

#[rstest]
fn of_sessions(#[values(Redis, Embedded)] store: Store) {
    let server = Described::new(TestApp::start_with(store, &[]));
    let session = server.app.new_session();
    let others: Vec<_> = (0..2).map(|_| server.app.session_of(&session.email)).collect();
    let bearer = format!("Bearer {}", session.access_token);
    let headers = [("Authorization", &*bearer)];
    let page = server.send("GET", "/sessions?limit=1", "", &headers, None);
    let next = text(&page, "next");
    assert_status(&server.send("GET", &format!("/sessions?after={next}"), "", &headers, None), 200);
    assert_status(&server.send("GET", "/sessions?limit=0", "", &headers, None), 400);
    assert_status(&server.send("GET", "/sessions?other=1", "", &headers, None), 400);
    assert_status(&server.send("DELETE", "/sessions/{id}", &others[0].id(), &headers, None), 200);
    assert_status(&server.send("DELETE", "/sessions/{id}", &others[0].id(), &headers, None), 404);
    let token = text(&server.send("DELETE", "/sessions?except=current", "", &headers, None), "access_token");
    assert_status(&server.send_as(&token, "DELETE", "/sessions", None), 200);
    for headers in [&[][..], &[("Authorization", "x")], &[("Refresh-Token", "x")], &[("Refresh-Token", "x"); 2]] {
        let answer = server.send("POST", "/signout", "", headers, None);
        assert!([400, 401].contains(&answer.status), "{answer:?}");
    }
    let session = server.app.session_of(&session.email);
    assert_status(&server.send_as(&session.access_token, "POST", "/signout", None), 200);
    let body = json!({"refresh_token": session.refresh_token});
    assert_status(&server.send_json("POST", "/signout", body), 200);
}

#[rstest]
fn of_a_second_factor(#[values(Redis, Embedded)] store: Store) {
    let server = Described::new(TestApp::start_with(store, &[]));
    let session = server.app.new_session();
    let send = |method: &str, path: &str, body: Value| server.send_as(&session.access_token, method, path, Some(body));
    let confirm = |code: &str| send("POST", "/user/totp/confirm", json!({"code": code}));
    let remove = |code: &str| send("DELETE", "/user/totp", json!({"password": PASSWORD, "code": code}));
    assert_status(&confirm("081804"), 404);
    assert_status(&remove("081804"), 404);
    assert_status(&send("POST", "/user/totp", json!({"password": "wrong"})), 403);
    let started = send("POST", "/user/totp", json!({"password": PASSWORD}));
    assert_status(&started, 201);
    let authenticator = Authenticator::new(&text(&started, "secret"));
    assert_status(&confirm("x"), 400);
    assert_status(&confirm(&authenticator.wrong_code()), 403);
    assert_status(&confirm(&authenticator.code_in(0)), 200);
    assert_status(&confirm(&authenticator.code_in(0)), 409);
    assert_status(&send("POST", "/user/totp", json!({"password": PASSWORD})), 409);
    let account = json!({"email": session.email, "password": PASSWORD});
    let first = server.send_json("POST", "/authenticate", account);
    assert_status(&first, 401);
    let mfa_token = text(&first, "mfa_token");
    let second =
        |code: &str| server.send_json("POST", "/authenticate/totp", json!({"mfa_token": mfa_token, "code": code}));
    assert_status(&server.send_json("POST", "/authenticate/totp", json!({})), 400);
    assert_status(&server.send_json("POST", "/authenticate/totp", json!({"mfa_token": "x", "code": "081804"})), 401);
    assert_status(&second(&authenticator.wrong_code()), 401);
    assert_status(&second(&authenticator.code_in(1)), 200);
    assert_status(&remove(&authenticator.wrong_code()), 403);
    assert_status(&second(&authenticator.code_in(1)), 401);
}

#[rstest]
fn of_a_renewal(#[values(Redis, Embedded)] store: Store) {
    let server = Described::new(TestApp::start_with(store, &SECRETS));
    let session = server.app.new_session();
    let expired = expired_access_token(&session);
    let headers = [("Authorization", &*expired), ("Refresh-Token", &*session.refresh_token)];
    for path in ["/user", "/sessions"] {
        let answer = server.send("GET", path, "", &headers, None);
        assert_eq!(answer.header("access-token"), Some(&*text(&answer, "access_token")), "{answer:?}");
    }
    assert_status(&server.send_as(&expired, "GET", "/user", None), 401);
}

#[rstest]
fn of_services_and_proxies(#[values(Redis, Embedded)] store: Store) {
    let server = Described::new(TestApp::start_with(store, &[RESOURCE_SERVERS]));
    let session = server.app.new_session();
    let token = format!("token={}", session.access_token);
    let bearer = format!("Bearer {}", session.access_token);
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        assert_status(&server.send(method, "/forward-auth", "", &[("Authorization", &bearer)], None), 200);
        assert_status(&server.send(method, "/forward-auth/", "", &[], None), 401);
    }
    assert_status(&server.send_form("/introspect", &[CREDENTIALS], &token), 200);
    assert_status(&server.send_form("/introspect", &[CREDENTIALS], "token=x"), 200);
    assert_status(&server.send_form("/introspect", &[], &token), 401);
    for path in ["/introspect", "/revoke"] {
        assert_status(&server.send_form(path, &[CREDENTIALS], ""), 400);
        assert_status(&server.send_form(path, &[CREDENTIALS, CREDENTIALS], &token), 400);
        assert_status(&server.send("POST", path, "", &[CREDENTIALS], Some(json!({}))), 415);
    }
    assert_status(&server.send_form("/revoke", &[], &token), 200);
    wait_until("the feed has the session", || {
        let feed = server.send("GET", "/revocations", "", &[CREDENTIALS], None);
        feed.status == 200 && feed.json()["revoked"].as_array().is_some_and(|ids| ids.contains(&session.id().into()))
    });
    wait_until("nothing is new", || {
        let feed = server.send("GET", "/revocations", "", &[CREDENTIALS], None);
        let headers = [CREDENTIALS, ("If-None-Match", feed.header("etag").unwrap())];
        let next = format!("/revocations?after={}", text(&feed, "cursor"));
        server.send("GET", &next, "", &headers, None).status == 304
    });
    assert_status(&server.send("GET", "/revocations", "", &[], None), 401);
}

#[rstest]
#[case::none(&[], 404)]
#[case::hs256(&[("ISSUER", "https://example.com/auth"), ("ACCESS_TOKEN_ALGORITHM", "HS256")], 200)]
#[case::es256(&[("ISSUER", "https://example.com/auth"), ("ACCESS_TOKEN_ALGORITHM", "ES256")], 200)]
fn of_documents_and_health(#[case] settings: &[(&str, &str)], #[case] metadata: u16) {
    let server = Described::new(TestApp::start_with(Embedded, settings));
    for method in ["GET", "HEAD"] {
        for path in ["/livez", "/readyz", "/openapi.json", "/.well-known/jwks.json"] {
            assert_status(&server.send(method, path, "", &[], None), 200);
        }
        for path in ["/openapi.json", "/.well-known/jwks.json"] {
            assert_status(&server.send(method, path, "", &[("If-None-Match", "*")], None), 304);
        }
        assert_status(&server.send(method, "/.well-known/oauth-authorization-server", "", &[], None), metadata);
    }
}

/// The errors that every request may get, on one route of each kind.
#[rstest]
fn of_malformed_requests(#[values(Redis, Embedded)] store: Store) {
    let server = Described::new(TestApp::start_with(store, &[("CORS_ORIGINS", "https://app.example")]));
    let json = ("Content-Type", "application/json");
    let origin = ("Origin", "https://app.example");
    for (method, path) in [("POST", "/signup"), ("GET", "/authenticate"), ("DELETE", "/access-token")] {
        for (headers, body, status) in [
            (&[json, origin][..], &b"{"[..], 400),
            (&[json], b"{\"email\": 7}", 400),
            (&[json, ("Host", "twice")], b"{}", 400),
            (&[origin], b"{}", 415),
            (&[json, ("Content-Encoding", "gzip")], b"{}", 415),
            (&[json], &[b' '; 17_000], 413),
            (&[("X-Header", "x"); 65], b"{}", 431),
        ] {
            assert_status(&server.send_bytes(method, path, headers, body), status);
        }
    }
    assert_status(&server.send("GET", "/livez?x=1", "", &[origin], None), 400);
}

/// The store is away.
#[test]
fn of_an_outage() {
    let mut redis = RedisServer::start(&[]);
    let server = Described::new(TestApp::start_on(&redis.url(), &[]));
    let session = server.app.new_session();
    redis.kill();
    wait_until("the server notices the outage", || server.send("GET", "/readyz", "", &[], None).status == 503);
    let account = json!({"email": session.email, "password": PASSWORD});
    assert_status(&server.send_json("POST", "/signup", account.clone()), 503);
    assert_status(&server.send_json("POST", "/authenticate", account), 503);
    for path in ["/user", "/sessions", "/forward-auth"] {
        assert_status(&server.send_as(&session.access_token, "GET", path, None), 503);
    }
    let refresh = json!({"refresh_token": session.refresh_token});
    assert_status(&server.send_json("POST", "/refresh-access-token", refresh), 503);
}
