//! The headers of every answer: a request id, `no-store`, and the right challenge.

use rstest::rstest;
use serde_json::json;

use crate::support::{
    Answer, PASSWORD, RedisServer,
    Store::{self, Embedded, Redis},
    TestApp, raw, unique_email, wait_until,
};

#[track_caller]
fn assert_envelope(answer: &Answer, id: &str) {
    let all = |name: &str| -> Vec<_> {
        answer.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(all("x-request-id"), [id], "{answer:?}");
    assert_eq!(all("cache-control"), ["no-store"], "{answer:?}");
    assert_eq!(all("content-type"), ["application/json; charset=utf-8"], "{answer:?}");
}

#[rstest]
fn every_answer_has_a_request_id_and_no_store(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = unique_email();
    let id = ("X-Request-Id", "id-of-the-test");
    let credentials = json!({"email": email, "password": PASSWORD}).to_string();
    let send = |status: u16, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>| {
        let answer = app.send(method, path, &[headers, &[id]].concat(), body);
        assert_eq!(answer.status, status, "{method} {path} {answer:?}");
        assert_envelope(&answer, id.1);
        answer
    };
    let good = Some(credentials.as_str());
    send(201, "POST", "/signup", &[], good);
    send(409, "POST", "/signup", &[], good);
    let signed_in = send(200, "GET", "/authenticate", &[], good).json();
    let token = ("Authorization", signed_in["access_token"].as_str().unwrap());
    let refresh = json!({"refresh_token": signed_in["refresh_token"]}).to_string();
    send(200, "GET", "/user", &[token], None);
    send(404, "GET", "/user", &[token], Some(r#"{"email": "somebody@else.example"}"#));
    send(401, "GET", "/user", &[], None);
    send(401, "GET", "/user", &[("Authorization", "x")], None);
    send(200, "GET", "/refresh-access-token", &[], Some(&refresh));
    send(200, "DELETE", "/access-token", &[], good);
    send(404, "DELETE", "/access-token", &[], good);
    send(415, "POST", "/signup", &[("Content-Encoding", "gzip")], good);
    send(404, "GET", "/refresh-access-token", &[], Some(&refresh));
    send(401, "GET", "/refresh-access-token", &[], Some(r#"{"refresh_token": "x"}"#));
    send(401, "GET", "/authenticate", &[], Some(r#"{"email": "no@body.example", "password": "x"}"#));
    send(400, "POST", "/signup", &[], Some("{}"));
    send(400, "POST", "/signup", &[], Some("["));
    send(400, "GET", "/user?x", &[], None);
    send(400, "GET", "/sessions?x", &[token], None);
    send(404, "GET", "/nothing-here", &[], None);
    send(405, "POST", "/user", &[], None);
    send(413, "POST", "/signup", &[], Some(&" ".repeat(20_000)));
    send(415, "POST", "/signup", &[("Content-Type", "text/plain")], Some("{}"));
    send(431, "GET", "/user", &[("X-More", "y"); 70], None);
    send(200, "GET", "/livez", &[], None);
    send(200, "GET", "/readyz", &[], None);
    let no_host = raw::exchange(app.port(), b"GET /livez HTTP/1.1\r\nX-Request-Id: id-of-the-test\r\n\r\n").unwrap();
    assert_eq!(no_host.status, 400);
    assert_envelope(&no_host, id.1);
}

#[test]
fn answers_during_an_outage_have_a_request_id_and_no_store_too() {
    let mut redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    redis.kill();
    wait_until("the server notices the outage", || app.send("GET", "/readyz", &[], None).status == 503);
    let id = ("X-Request-Id", "id-of-the-test");
    let credentials = json!({"email": session.email, "password": PASSWORD}).to_string();
    let refresh = json!({"refresh_token": session.refresh_token}).to_string();
    for (method, path, headers, body) in [
        ("GET", "/readyz", vec![id], None),
        ("GET", "/user", vec![id, ("Authorization", session.access_token.as_str())], None),
        ("POST", "/authenticate", vec![id], Some(credentials.as_str())),
        ("POST", "/signup", vec![id], Some(credentials.as_str())),
        ("POST", "/refresh-access-token", vec![id], Some(refresh.as_str())),
        ("DELETE", "/access-token", vec![id], Some(credentials.as_str())),
    ] {
        let answer = app.send(method, path, &headers, body);
        answer.assert_error(503, "store_unreachable");
        assert_envelope(&answer, id.1);
        assert!(answer.header("www-authenticate").is_none(), "{answer:?}");
    }
}

fn livez_with(app: &TestApp, id: &str) -> String {
    let answer = app.send("GET", "/livez", &[("X-Request-Id", id)], None);
    let new = answer.header("x-request-id").unwrap().to_owned();
    assert_envelope(&answer, &new);
    new
}

#[test]
fn a_valid_request_id_is_kept() {
    let app = TestApp::start(Embedded);
    for id in ["x", "0", "a.B-c_9", "01890a5d-ac96-774b-bcce-b302099a8057", &"x".repeat(64)] {
        assert_eq!(livez_with(&app, id), id);
    }
}

#[test]
fn an_invalid_request_id_is_replaced_by_a_new_one() {
    let app = TestApp::start(Embedded);
    let mut new = Vec::new();
    for id in [
        "",
        &"x".repeat(65),
        &"x".repeat(10_000),
        "two words",
        "quo\"te",
        "{\"level\":\"ERROR\"}",
        "tab\tbed",
        "per%0acent",
        "<script>",
        "caf\u{e9}",
        "\u{2028}",
        "x,y",
        "../x",
    ] {
        let replaced = livez_with(&app, id);
        assert!(
            replaced.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) && replaced.len() <= 64,
            "{replaced}"
        );
        new.push(replaced);
    }
    let without = app.send("GET", "/livez", &[], None).header("x-request-id").unwrap().to_owned();
    new.push(without);
    let count = new.len();
    new.sort();
    new.dedup();
    assert_eq!(new.len(), count, "each id is new");
}

const CHALLENGE: Option<&str> = Some("Bearer");
const CHALLENGE_INVALID: Option<&str> = Some("Bearer error=\"invalid_token\"");

#[test]
fn the_challenge_says_invalid_token_only_if_a_token_was_sent() {
    let app = TestApp::start_with(Embedded, &[("TOKEN_REMOVAL", "owner")]);
    let session = app.new_session();
    let email = json!({"email": session.email}).to_string();
    for (method, path) in [("GET", "/user"), ("DELETE", "/access-token")] {
        let missing = |headers: &[(&str, &str)]| {
            let answer = app.send(method, path, headers, Some(&email));
            answer.assert_error(401, "token_missing");
            assert_eq!(answer.header("www-authenticate"), CHALLENGE, "{path}");
        };
        missing(&[]);
        // Neither the scheme alone nor credentials of another scheme are a token.
        for none in ["", " \t", "Bearer", "bearer \t", "Basic dXNlcjpwYXNz", "basic\tdXNlcjpwYXNz", "Digest a=b, c=d"] {
            missing(&[("Authorization", none)]);
        }
        for bad in ["x", "Bearer x", "Bearer\tx", "bearer:", "caf\u{e9}", session.refresh_token.as_str()] {
            let answer = app.send(method, path, &[("Authorization", bad)], Some(&email));
            answer.assert_error(401, "invalid_token");
            assert_eq!(answer.header("www-authenticate"), CHALLENGE_INVALID, "{path} {bad}");
        }
    }
    let answer = app.refresh_access_token("x");
    answer.assert_error(401, "invalid_token");
    assert_eq!(answer.header("www-authenticate"), CHALLENGE_INVALID);
    let answer = app.authenticate(&session.email, "wrong password");
    answer.assert_error(401, "invalid_credentials");
    assert_eq!(answer.header("www-authenticate"), CHALLENGE);
    assert_eq!(app.current_user(&session.access_token).header("www-authenticate"), None);
}

#[test]
fn the_scheme_may_be_in_any_case_or_missing() {
    let app = TestApp::start(Embedded);
    let session = app.new_session();
    for scheme in ["", " \t", "Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer   ", "Bearer\t", "bearer \t "] {
        let value = format!("{scheme}{}", session.access_token);
        let answer = app.send("GET", "/user", &[("Authorization", &value)], None);
        assert_eq!((answer.status, &answer.json()["data"]["email"]), (200, &session.email.as_str().into()), "{scheme}");
    }
    for (scheme, code) in [
        ("Basic ", "token_missing"),
        ("Basic\t", "token_missing"),
        ("Token ", "token_missing"),
        ("Bearer: ", "token_missing"),
        ("Bearer Bearer ", "invalid_token"),
        ("Bearer:", "invalid_token"),
        ("Bearer=", "invalid_token"),
    ] {
        let value = format!("{scheme}{}", session.access_token);
        app.send("GET", "/user", &[("Authorization", &value)], None).assert_error(401, code);
    }
}

#[test]
fn two_tokens_are_400() {
    let app = TestApp::start_with(Embedded, &[("TOKEN_REMOVAL", "owner")]);
    let session = app.new_session();
    let token = session.access_token.as_str();
    let bearer = format!("Bearer {token}");
    let email = json!({"email": session.email}).to_string();
    let and_token = json!({"email": session.email, "access_token": token}).to_string();
    for (method, path) in [("GET", "/user"), ("DELETE", "/access-token")] {
        for two in [[token, token], [token, &bearer], [token, "x"], ["x", token], [token, ""]] {
            let headers = two.map(|value| ("Authorization", value));
            let answer = app.send(method, path, &headers, Some(&email));
            answer.assert_error(400, "ambiguous_token");
            assert!(!answer.body.contains(token), "{answer:?}");
        }
        let answer = app.send(method, path, &[("Authorization", &bearer)], Some(&and_token));
        answer.assert_error(400, "ambiguous_token");
        assert!(!answer.body.contains(token), "{answer:?}");
        app.send(method, path, &[], Some(&and_token)).assert_error(401, "token_missing");
    }
    assert_eq!(app.current_user(token).status, 200, "no token was removed");
}

#[test]
fn query_parameters_are_400_on_every_route() {
    let app = TestApp::start(Embedded);
    let session = app.new_session();
    let token = session.access_token.as_str();
    let email = unique_email();
    let body = json!({"email": email, "password": PASSWORD, "refresh_token": session.refresh_token}).to_string();
    for (method, path) in [
        ("POST", "/signup"),
        ("GET", "/authenticate"),
        ("POST", "/authenticate"),
        ("GET", "/user"),
        ("GET", "/refresh-access-token"),
        ("POST", "/refresh-access-token"),
        ("DELETE", "/access-token"),
        ("PUT", "/user/password"),
        ("DELETE", "/user"),
        ("GET", "/sessions"),
        ("DELETE", "/sessions"),
        ("DELETE", "/sessions/AAAAAAAAAAAAAAAAAAAAAA"),
        ("POST", "/signout"),
        ("GET", "/livez"),
        ("GET", "/readyz"),
    ] {
        for query in ["x=y", "x", &format!("access_token={token}"), &format!("email={email}&password={PASSWORD}")] {
            let path = format!("{path}?{}", query.replace(' ', "+"));
            let answer = app.send(method, &path, &[("Authorization", token)], Some(&body));
            answer.assert_error(400, "query_not_allowed");
            assert!(!answer.body.contains(token) && !answer.body.contains(&email), "{answer:?}");
        }
    }
    for path in ["/livez?x=y", "/readyz?x=y"] {
        assert_eq!(app.send("HEAD", path, &[], None).status, 400, "{path}");
    }
    let owner = TestApp::start_with(Embedded, &[("TOKEN_REMOVAL", "owner")]);
    let answer = owner.send("DELETE", "/access-token?x=y", &[("Authorization", token)], Some(&body));
    answer.assert_error(400, "query_not_allowed");
    assert_eq!(app.authenticate(&email, PASSWORD).status, 401, "no account was created");
    assert_eq!(app.current_user(token).status, 200, "no token was removed");
}
