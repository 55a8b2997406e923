//! GET and POST /refresh-access-token

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Store::{self, Embedded, Redis},
    TestApp,
};

fn access_token(body: &Value) -> String {
    body["access_token"].as_str().unwrap().to_owned()
}

#[rstest]
fn refresh_answers_get_and_post_alike(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    for method in ["GET", "POST"] {
        // The server must ignore the unknown field `expires_in`.
        let body = json!({"refresh_token": session.refresh_token, "expires_in": 9_999});
        let answer = app.send_json(method, "/refresh-access-token", &body);
        let token = access_token(&answer.json());
        answer.assert(
            200,
            &json!({
                "access_token": token, "result": "Access token refreshed successfully",
                "token_type": "Bearer", "expires_in": 60,
            }),
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(app.current_user(&token).json()["data"]["email"], session.email.as_str(), "{method}");
        app.send_json(method, "/refresh-access-token", &json!({"refresh_token": "x"}))
            .assert_error(401, "invalid_token");
        app.send_json(method, "/refresh-access-token", &json!({})).assert_invalid(&["refresh_token"]);
    }
}

#[rstest]
fn refresh_leaves_older_access_tokens_and_the_refresh_token_valid(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let mut tokens = vec![session.access_token.clone()];
    for _ in 0..3 {
        tokens.push(access_token(&app.refresh_access_token(&session.refresh_token).json()));
    }
    let mut unlike = tokens.clone();
    unlike.sort_unstable();
    unlike.dedup();
    assert_eq!(unlike.len(), tokens.len(), "all access tokens differ");
    for token in &tokens {
        assert_eq!(app.current_user(token).status, 200);
    }
}

#[rstest]
fn anything_but_a_refresh_token_is_401_invalid_token(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let long = "x".repeat(15_000);
    for wrong in ["", "x", "a.b.c", "null", &long, &session.access_token, &format!("Bearer {}", session.refresh_token)]
    {
        let answer = app.refresh_access_token(wrong);
        answer.assert_error(401, "invalid_token");
        assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#), "{answer:?}");
    }
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200, "the server accepts a real refresh token");
}

#[rstest]
fn removed_refresh_token_is_404(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    app.refresh_access_token(&session.refresh_token).assert_error(404, "token_not_found");
    // A later sign-in must not revive the removed token.
    let later = app.session_of(&session.email);
    app.refresh_access_token(&session.refresh_token).assert_error(404, "token_not_found");
    assert_eq!(app.refresh_access_token(&later.refresh_token).status, 200);
}

#[rstest]
fn refresh_body_must_be_complete(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    for body in [r"{}", r#"{"refresh_token": 1}"#, r#"{"refresh_token": null}"#, r#"{"refreshToken": "x"}"#] {
        app.send("POST", "/refresh-access-token", &[], Some(body)).assert_invalid(&["refresh_token"]);
    }
    for body in [None, Some(""), Some("[]"), Some(r#"{"refresh_token": "x", "refresh_token": "x"}"#)] {
        app.send("GET", "/refresh-access-token", &[], body).assert_error(400, "invalid_json");
    }
}
