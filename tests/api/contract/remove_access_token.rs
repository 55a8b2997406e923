//! DELETE /access-token with the default TOKEN_REMOVAL=open.

use rstest::rstest;
use serde_json::json;

use crate::support::{
    Answer,
    Store::{self, Embedded, Redis},
    TestApp, unique_email,
};

fn assert_removed(answer: &Answer) {
    answer.assert(200, &json!({"result": "Access token removed"}));
}

#[rstest]
fn removal_ends_every_token_of_that_user_and_of_nobody_else(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (first, other) = (app.new_session(), app.new_session());
    let second = app.session_of(&first.email);
    let refreshed = app.refresh_access_token(&second.refresh_token).json();
    assert_removed(&app.remove_access_token(&first.email));
    first.assert_dead([&app]);
    second.assert_dead([&app]);
    assert_eq!(app.current_user(refreshed["access_token"].as_str().unwrap()).status, 401);
    other.assert_lives([&app]);
}

#[rstest]
fn removal_with_nothing_to_remove_is_404(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    assert_removed(&app.remove_access_token(&session.email));
    let expected = json!({"result": "Error occurred", "error": "Access token not found", "code": "token_not_found"});
    for email in [session.email, unique_email()] {
        app.remove_access_token(&email).assert(404, &expected);
    }
}

#[rstest]
fn removal_takes_the_email_in_any_case(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    assert_removed(&app.remove_access_token(&session.email.to_uppercase()));
    session.assert_dead([&app]);
}

#[rstest]
fn a_sign_in_after_removal_is_valid_and_older_tokens_stay_dead(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let old = app.new_session();
    assert_removed(&app.remove_access_token(&old.email));
    let new = app.session_of(&old.email);
    new.assert_lives([&app]);
    old.assert_dead([&app]);
}

#[rstest]
fn removal_has_no_other_method(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let body = json!({"email": session.email}).to_string();
    for method in ["GET", "POST", "PUT", "HEAD"] {
        let answer = app.send(method, "/access-token", &[], Some(&body));
        assert_eq!((answer.status, answer.header("allow")), (405, Some("DELETE")), "{method} {answer:?}");
    }
    session.assert_lives([&app]);
}
