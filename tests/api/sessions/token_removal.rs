//! DELETE /access-token with each value of TOKEN_REMOVAL.

use rstest::rstest;
use serde_json::json;

use crate::support::{
    Answer,
    Store::{self, Embedded, Redis},
    TestApp, unique_email,
};

const INVALID: &str = r#"Bearer error="invalid_token""#;

fn remove(app: &TestApp, token: Option<&str>, email: Option<&str>) -> Answer {
    let headers: Vec<_> = token.map(|token| ("Authorization", token)).into_iter().collect();
    let body = email.map(|email| json!({"email": email}).to_string());
    app.send("DELETE", "/access-token", &headers, body.as_deref())
}

fn assert_removed(answer: &Answer) {
    answer.assert(200, &json!({"result": "Access token removed"}));
}

#[track_caller]
fn assert_challenge(answer: &Answer, code: &str, challenge: &str) {
    answer.assert_error(401, code);
    assert_eq!(answer.header("www-authenticate"), Some(challenge), "{answer:?}");
}

#[rstest]
fn open_removal_needs_an_email_or_a_valid_token(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[("TOKEN_REMOVAL", "open")]);
    let (ada, bob) = (app.new_session(), app.new_session());
    // With an email in the body, the request needs no token, so the server ignores even an invalid token.
    assert_removed(&remove(&app, Some("x"), Some(&bob.email)));
    bob.assert_dead([&app]);
    assert_challenge(&remove(&app, Some("x"), None), "invalid_token", INVALID);
    ada.assert_lives([&app]);
    // Without a token, the body must name the user.
    remove(&app, None, None).assert_invalid(&["email"]);
    assert_removed(&remove(&app, Some(&ada.access_token), None));
    ada.assert_dead([&app]);
    assert_challenge(&remove(&app, Some(&ada.access_token), None), "invalid_token", INVALID);
}

#[rstest]
fn removal_body_must_be_complete(#[values(Redis, Embedded)] store: Store) {
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
        session.assert_lives([&app]);
    }
}

#[rstest]
fn owner_removal_wants_the_owners_access_token(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[("TOKEN_REMOVAL", "owner")]);
    let (ada, bob) = (app.new_session(), app.new_session());
    let second = app.session_of(&ada.email);
    for email in [None, Some(ada.email.as_str())] {
        assert_challenge(&remove(&app, None, email), "token_missing", "Bearer");
        for bad in ["x", ada.refresh_token.as_str()] {
            assert_challenge(&remove(&app, Some(bad), email), "invalid_token", INVALID);
        }
    }
    for not_bobs in [ada.email.as_str(), &unique_email()] {
        remove(&app, Some(&bob.access_token), Some(not_bobs)).assert_error(403, "not_owner");
    }
    for session in [&ada, &bob, &second] {
        session.assert_lives([&app]);
    }
    assert_removed(&remove(&app, Some(&format!("Bearer {}", ada.access_token)), Some(&ada.email.to_uppercase())));
    ada.assert_dead([&app]);
    second.assert_dead([&app]);
    let again = remove(&app, Some(&ada.access_token), Some(&ada.email));
    assert_challenge(&again, "invalid_token", INVALID);
    bob.assert_lives([&app]);
    assert_removed(&remove(&app, Some(&bob.access_token), None));
    bob.assert_dead([&app]);
}

#[rstest]
fn removal_switched_off_is_405_and_the_command_line_still_works(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[("TOKEN_REMOVAL", "off")]);
    let session = app.new_session();
    for token in [None, Some(session.access_token.as_str()), Some("x")] {
        for email in [None, Some(session.email.as_str())] {
            let answer = remove(&app, token, email);
            answer.assert_error(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some(""), "the route exists, but has no method: {answer:?}");
        }
    }
    session.assert_lives([&app]);
    let mut app = app;
    // Only one process can open the embedded store.
    if store == Embedded {
        app.kill();
    }
    let output = app.cli(&["tokens", "revoke", &session.email]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let app = if store == Embedded { app.restart() } else { app };
    session.assert_dead([&app]);
}
