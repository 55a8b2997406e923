//! DELETE /access-token, with each TOKEN_REMOVAL.

use serde_json::json;

use crate::{
    app::{Session, TestApp, unique_email},
    raw::Answer,
    redis_server::wait_until,
    runner::Store,
    suite,
};

suite! {
    every_store: [
        removal_ends_every_token_of_that_user_and_of_nobody_else,
        removal_with_nothing_to_remove_is_404,
        removal_takes_the_email_in_any_case,
        a_sign_in_after_removal_is_good_and_older_tokens_stay_dead,
        removal_has_no_other_method,
    ]
    with_settings: [
        removal_of_expired_tokens_is_404,
        open_removal_asks_for_no_token_and_without_body_removes_the_tokens_owners,
        removal_body_that_is_there_must_be_complete,
        owner_removal_wants_the_owners_access_token,
        removal_switched_off_is_405_and_leaves_it_to_the_command_line,
    ]
}

fn remove(app: &TestApp, token: Option<&str>, email: Option<&str>) -> Answer {
    let headers: Vec<_> = token.map(|token| ("Authorization", token)).into_iter().collect();
    let body = email.map(|email| json!({"email": email}).to_string());
    app.send("DELETE", "/access-token", &headers, body.as_deref())
}

fn assert_removed(answer: &Answer) {
    answer.assert(200, &json!({"result": "Access token removed"}));
}

#[track_caller]
fn assert_lives(app: &TestApp, session: &Session) {
    assert_eq!(app.current_user(&session.access_token).status, 200);
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
}

#[track_caller]
fn assert_dead(app: &TestApp, session: &Session) {
    app.current_user(&session.access_token).assert_error(401, "invalid_token");
    app.refresh_access_token(&session.refresh_token).assert_error(404, "token_not_found");
}

#[track_caller]
fn assert_challenge(answer: &Answer, code: &str, challenge: &str) {
    answer.assert_error(401, code);
    assert_eq!(answer.header("www-authenticate"), Some(challenge), "{answer:?}");
}

fn removal_ends_every_token_of_that_user_and_of_nobody_else(store: Store) {
    let app = TestApp::start(store);
    let (first, other) = (app.new_session(), app.new_session());
    let second = app.session_of(&first.email);
    let refreshed = app.refresh_access_token(&second.refresh_token).json();
    assert_removed(&remove(&app, None, Some(&first.email)));
    assert_dead(&app, &first);
    assert_dead(&app, &second);
    assert_eq!(app.current_user(refreshed["access_token"].as_str().unwrap()).status, 401);
    assert_lives(&app, &other);
}

fn removal_with_nothing_to_remove_is_404(store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    assert_removed(&remove(&app, None, Some(&session.email)));
    let expected = json!({"result": "Error occurred", "error": "Access token not found", "code": "token_not_found"});
    for email in [session.email, unique_email()] {
        remove(&app, None, Some(&email)).assert(404, &expected);
    }
}

fn removal_of_expired_tokens_is_404(store: Store) {
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "1"), ("REFRESH_TOKEN_TTL_SECONDS", "1")];
    let app = TestApp::start_with(store, &settings);
    // The store may keep an entry for the moment that opening the session took; by the end of a later one it is gone.
    let (session, later) = (app.new_session(), app.new_session());
    wait_until("the later tokens end", || {
        app.current_user(&later.access_token).status == 401
            && app.refresh_access_token(&later.refresh_token).status == 401
    });
    assert_eq!(app.current_user(&session.access_token).status, 401);
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 401);
    remove(&app, None, Some(&session.email)).assert_error(404, "token_not_found");
}

fn removal_takes_the_email_in_any_case(store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    assert_removed(&remove(&app, None, Some(&session.email.to_uppercase())));
    assert_dead(&app, &session);
}

fn a_sign_in_after_removal_is_good_and_older_tokens_stay_dead(store: Store) {
    let app = TestApp::start(store);
    let old = app.new_session();
    assert_removed(&remove(&app, None, Some(&old.email)));
    let new = app.session_of(&old.email);
    assert_lives(&app, &new);
    assert_dead(&app, &old);
}

fn open_removal_asks_for_no_token_and_without_body_removes_the_tokens_owners(store: Store) {
    let app = TestApp::start_with(store, &[("TOKEN_REMOVAL", "open")]);
    let (ada, bob) = (app.new_session(), app.new_session());
    // A token that comes along changes nothing when the body says whose tokens are meant, not even a bad one.
    assert_removed(&remove(&app, Some("x"), Some(&bob.email)));
    assert_dead(&app, &bob);
    assert_challenge(&remove(&app, Some("x"), None), "invalid_token", r#"Bearer error="invalid_token""#);
    assert_lives(&app, &ada);
    // Nothing says whose: the body is what is missing, as no token is asked for.
    remove(&app, None, None).assert_invalid(&["email"]);
    assert_removed(&remove(&app, Some(&ada.access_token), None));
    assert_dead(&app, &ada);
    assert_challenge(&remove(&app, Some(&ada.access_token), None), "invalid_token", r#"Bearer error="invalid_token""#);
}

fn removal_body_that_is_there_must_be_complete(store: Store) {
    for removal in ["open", "owner"] {
        let app = TestApp::start_with(store, &[("TOKEN_REMOVAL", removal)]);
        let session = app.new_session();
        let headers = [("Authorization", session.access_token.as_str())];
        let send = |body| app.send("DELETE", "/access-token", &headers, Some(body));
        for body in ["{}", r#"{"email": 1}"#, r#"{"email": "nobody"}"#, r#"{"EMAIL": "a@b.c"}"#] {
            send(body).assert_invalid(&["email"]);
        }
        for body in ["[]", "{", r#"{"email": "a@b.c", "email": "a@b.c"}"#] {
            send(body).assert_error(400, "invalid_json");
        }
        assert_lives(&app, &session);
    }
}

fn owner_removal_wants_the_owners_access_token(store: Store) {
    let app = TestApp::start_with(store, &[("TOKEN_REMOVAL", "owner")]);
    let (ada, bob) = (app.new_session(), app.new_session());
    let second = app.session_of(&ada.email);
    for email in [None, Some(ada.email.as_str())] {
        assert_challenge(&remove(&app, None, email), "token_missing", "Bearer");
        for bad in ["x", ada.refresh_token.as_str()] {
            assert_challenge(&remove(&app, Some(bad), email), "invalid_token", r#"Bearer error="invalid_token""#);
        }
    }
    for not_bobs in [ada.email.as_str(), &unique_email()] {
        remove(&app, Some(&bob.access_token), Some(not_bobs)).assert_error(403, "not_owner");
    }
    for session in [&ada, &bob, &second] {
        assert_lives(&app, session);
    }
    assert_removed(&remove(&app, Some(&format!("Bearer {}", ada.access_token)), Some(&ada.email.to_uppercase())));
    assert_dead(&app, &ada);
    assert_dead(&app, &second);
    let again = remove(&app, Some(&ada.access_token), Some(&ada.email));
    assert_challenge(&again, "invalid_token", r#"Bearer error="invalid_token""#);
    assert_lives(&app, &bob);
    assert_removed(&remove(&app, Some(&bob.access_token), None));
    assert_dead(&app, &bob);
}

fn removal_switched_off_is_405_and_leaves_it_to_the_command_line(store: Store) {
    let app = TestApp::start_with(store, &[("TOKEN_REMOVAL", "off")]);
    let session = app.new_session();
    for token in [None, Some(session.access_token.as_str()), Some("x")] {
        for email in [None, Some(session.email.as_str())] {
            let answer = remove(&app, token, email);
            answer.assert_error(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some(""), "the route is there, but has no method: {answer:?}");
        }
    }
    assert_lives(&app, &session);
    let mut app = app;
    // The embedded store belongs to the running server.
    if store == Store::Embedded {
        app.kill();
    }
    let output = app.cli(&["tokens", "revoke", &session.email]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let app = if store == Store::Embedded { app.restart() } else { app };
    assert_dead(&app, &session);
}

fn removal_has_no_other_method(store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let body = json!({"email": session.email}).to_string();
    for method in ["GET", "POST", "PUT", "HEAD"] {
        let answer = app.send(method, "/access-token", &[], Some(&body));
        assert_eq!((answer.status, answer.header("allow")), (405, Some("DELETE")), "{method} {answer:?}");
    }
    assert_lives(&app, &session);
}
