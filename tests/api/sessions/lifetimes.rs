//! The lifetimes of tokens, and the answers to expired tokens.

use std::cell::Cell;

use rstest::rstest;
use serde_json::json;

use crate::support::{
    PASSWORD,
    Store::{self, Embedded, Redis},
    TestApp, text, time, wait_until, wait_until_after,
};

#[rstest]
fn authenticate_returns_the_lifetimes_of_the_settings(#[values(Redis, Embedded)] store: Store) {
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "77"), ("REFRESH_TOKEN_TTL_SECONDS", "7777")];
    let app = TestApp::start_with(store, &settings);
    let session = app.new_session();
    let body = app.authenticate(&session.email, PASSWORD).json();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(77)));
    assert_eq!(body["refresh_expires_in"], 7777);
    for (token, seconds) in [(&session.access_token, 77), (&session.refresh_token, 7777)] {
        assert_eq!(time(token, "exp") - time(token, "iat"), seconds);
    }
}

#[rstest]
fn refresh_returns_the_lifetime_of_the_settings(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[("ACCESS_TOKEN_TTL_SECONDS", "77")]);
    let answer = app.refresh_access_token(&app.new_session().refresh_token);
    assert_eq!(answer.json()["expires_in"], 77, "{answer:?}");
}

#[rstest]
fn an_expired_access_token_is_401_token_expired(#[values(Redis, Embedded)] store: Store) {
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "1"), ("REFRESH_TOKEN_TTL_SECONDS", "60")];
    let app = TestApp::start_with(store, &settings);
    let session = app.new_session();
    wait_until("the access token expires", || app.current_user(&session.access_token).status == 401);
    // The answer must tell the client to refresh, within the leeway of the clocks and after it.
    let answer = app.current_user(&session.access_token);
    answer.assert_error(401, "token_expired");
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#));
    wait_until_after(time(&session.access_token, "exp") + 5);
    app.current_user(&session.access_token).assert_error(401, "token_expired");
    let refreshed = text(&app.refresh_access_token(&session.refresh_token), "access_token");
    assert_eq!(app.current_user(&refreshed).status, 200);
}

#[rstest]
fn an_access_token_whose_entry_lives_has_five_seconds_of_leeway(#[values(Redis, Embedded)] store: Store) {
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "3"), ("REFRESH_TOKEN_TTL_SECONDS", "60")];
    let app = TestApp::start_with(store, &settings);
    let session = app.new_session();
    let exp = time(&session.access_token, "exp");
    // The clock of the store decides, and the new access token shows its time.
    let (asked, last_accepted) = (Cell::new(0), Cell::new(0));
    let ask = || {
        // Each refresh renews the access entry, so that only the claims of the first token decide.
        let refreshed = app.refresh_access_token(&session.refresh_token);
        assert_eq!(refreshed.status, 200);
        asked.set(time(refreshed.json()["access_token"].as_str().unwrap(), "iat"));
        let answer = app.current_user(&session.access_token);
        if answer.status == 200 {
            last_accepted.set(asked.get());
        }
        answer
    };
    wait_until("the leeway has passed", || ask().status != 200);
    ask().assert_error(401, "token_expired");
    assert!((exp..exp + 5).contains(&last_accepted.get()), "accepted until {}, exp is {exp}", last_accepted.get());
    assert!(asked.get() >= exp + 5, "refused before the leeway had passed");
}

#[rstest]
fn refresh_revives_a_session_whose_access_token_has_expired(#[values(Redis, Embedded)] store: Store) {
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "2"), ("REFRESH_TOKEN_TTL_SECONDS", "60")];
    let app = TestApp::start_with(store, &settings);
    let session = app.new_session();
    wait_until("the access token expires", || app.current_user(&session.access_token).status == 401);
    let token = text(&app.refresh_access_token(&session.refresh_token), "access_token");
    assert_eq!(app.current_user(&token).status, 200);
}

#[rstest]
fn an_expired_refresh_token_is_401_token_expired(#[values(Redis, Embedded)] store: Store) {
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "1"), ("REFRESH_TOKEN_TTL_SECONDS", "2")];
    let app = TestApp::start_with(store, &settings);
    let session = app.new_session();
    let mut last = app.refresh_access_token(&session.refresh_token);
    wait_until("the refresh token expires", || {
        last = app.refresh_access_token(&session.refresh_token);
        last.status != 200
    });
    last.assert_error(401, "token_expired");
    assert_eq!(last.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#));
    wait_until("the last access token expires", || app.remove_access_token(&session.email).status == 404);
    assert_eq!(app.current_user(&session.access_token).status, 401);
}

#[rstest]
fn removal_of_expired_tokens_is_404(#[values(Redis, Embedded)] store: Store) {
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "1"), ("REFRESH_TOKEN_TTL_SECONDS", "1")];
    let app = TestApp::start_with(store, &settings);
    // An entry expires slightly later than its token, because the store sets the TTL after the server has set `exp`. A
    // later session of another user expires after both.
    let (session, later) = (app.new_session(), app.new_session());
    wait_until("the later session expires", || {
        app.current_user(&later.access_token).status == 401
            && app.refresh_access_token(&later.refresh_token).status == 401
    });
    app.current_user(&session.access_token).assert_error(401, "token_expired");
    app.refresh_access_token(&session.refresh_token).assert_error(401, "token_expired");
    app.remove_access_token(&session.email).assert_error(404, "token_not_found");
    app.session_of(&session.email);
}
