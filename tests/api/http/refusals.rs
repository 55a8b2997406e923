//! The log says why a token was refused. The answer does not.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Answer,
    Store::{self, Embedded, Redis},
    TestApp, expired_access_token, kinds, start, unix_seconds, wait_until,
};

/// A request with a token in `Authorization`, and the log line about the request.
fn ask(app: &TestApp, request_id: &str, token: &str, more: &[(&str, &str)]) -> (Answer, Value) {
    let headers = [("X-Request-Id", request_id), ("Authorization", token)];
    let answer = app.send("GET", "/user", &[&headers, more].concat(), None);
    (answer, line_of(app, request_id))
}

fn line_of(app: &TestApp, request_id: &str) -> Value {
    let mut line = None;
    wait_until("the request is logged", || {
        line = app.request_log().into_iter().find(|line| line["request_id"] == request_id);
        line.is_some()
    });
    line.unwrap()
}

#[track_caller]
fn assert_logged(line: &Value, code: &str, reason: &str) {
    assert_eq!(
        (&line["code"], &line["reason"], &line["level"]),
        (&json!(code), &json!(reason), &json!("INFO")),
        "{line}"
    );
}

#[rstest]
fn the_log_says_why_an_access_token_is_refused(#[values(Redis, Embedded)] store: Store) {
    let app = start(store);
    let session = app.new_session();
    let [access, _] = kinds(&session);
    let mut forged = access.claims();
    forged["sub"] = json!("00000000-0000-4000-8000-000000000000");
    let foreign = access.sign(&forged).rsplit_once('.').unwrap().0.to_owned()
        + &session.access_token[session.access_token.rfind('.').unwrap()..];
    let cases = [
        ("malformed", "no.token".to_owned()),
        ("malformed", access.sign_text("[]")),
        ("unknown_header", access.with_header_field("kid", &json!("1"))),
        ("unknown_header", access.with_header(&json!({"alg": "none"}))),
        ("wrong_kind", session.refresh_token.clone()),
        ("bad_signature", foreign),
        ("wrong_audience", access.with("aud", json!("elsewhere"))),
        ("not_yet_valid", access.with("nbf", json!(unix_seconds() + 600))),
    ];
    let mut bodies = Vec::new();
    for (n, (reason, token)) in cases.iter().enumerate() {
        let (answer, line) = ask(&app, &format!("case-{n}"), token, &[]);
        answer.assert_error(401, "invalid_token");
        assert_logged(&line, "invalid_token", reason);
        bodies.push(answer.body);
    }
    let (answer, line) = ask(&app, "served", &session.access_token, &[]);
    assert_eq!((answer.status, line.get("reason")), (200, None), "{line}");

    assert_eq!(app.remove_access_token(&session.email).status, 200);
    let (answer, line) = ask(&app, "removed", &session.access_token, &[]);
    answer.assert_error(401, "invalid_token");
    assert_logged(&line, "invalid_token", "removed");
    bodies.push(answer.body);
    assert!(bodies.iter().all(|body| *body == bodies[0] && !body.contains("reason")), "{bodies:?}");

    let (answer, line) = ask(&app, "expired", &expired_access_token(&session), &[]);
    answer.assert_error(401, "token_expired");
    assert_logged(&line, "token_expired", "expired");
}

#[rstest]
fn the_log_says_why_a_renewal_is_refused(#[values(Redis, Embedded)] store: Store) {
    let app = start(store);
    let [session, other] = [app.new_session(), app.new_session()];
    let expired = expired_access_token(&session);
    let refused = |name: &str, refresh_token: &str, code: &str, reason: &str| {
        let (answer, line) = ask(&app, name, &expired, &[("Refresh-Token", refresh_token)]);
        answer.assert_error(401, code);
        assert_logged(&line, code, reason);
    };
    refused("other", &other.refresh_token, "invalid_token", "other_session");
    refused("kind", &session.access_token, "invalid_token", "wrong_kind");
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    refused("removed", &session.refresh_token, "token_expired", "removed");
}

#[rstest]
fn the_log_says_why_a_refresh_token_is_refused(#[values(Redis, Embedded)] store: Store) {
    let app = start(store);
    let session = app.new_session();
    let [_, refresh] = kinds(&session);
    for (name, token, code, reason) in [
        ("kind", session.access_token.clone(), "invalid_token", "wrong_kind"),
        ("garbage", "garbage".to_owned(), "invalid_token", "malformed"),
        ("expired", refresh.with("exp", json!(unix_seconds() - 10)), "token_expired", "expired"),
    ] {
        let body = json!({"refresh_token": token}).to_string();
        let answer = app.send("POST", "/refresh-access-token", &[("X-Request-Id", name)], Some(&body));
        answer.assert_error(401, code);
        assert_logged(&line_of(&app, name), code, reason);
    }
}
