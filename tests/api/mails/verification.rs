//! The verification of an email.

use rstest::rstest;
use serde_json::{Value, json};

use super::scene::{NEW_PASSWORD, Scene, assert_wrong_token};
use crate::support::{
    PASSWORD, PUBLIC_URL, RESOURCE_SERVERS, SECRETS,
    Store::{self, Embedded, Redis},
    expired_access_token, text, unique_email,
};

const OPTIONAL: (&str, &str) = ("EMAIL_VERIFICATION", "optional");
const REQUIRED: (&str, &str) = ("EMAIL_VERIFICATION", "required");
const RESULT: &str = "If the email is not verified yet, a mail is on its way";

#[rstest]
fn a_sign_up_sends_a_link_that_verifies_the_email(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[&SECRETS[..], &[OPTIONAL]].concat());
    let app = &scene.app;
    let session = app.new_session();
    let first = scene.mailbox.wait_for(&session.email);
    assert!(first.text.contains(&format!("{PUBLIC_URL}#token=verify_")), "{}", first.text);
    assert!(!app.is_verified(&session.access_token));
    app.request_email_verification(&session.access_token).assert(202, &json!({"result": RESULT}));
    let latest = scene.mailbox.wait_for(&session.email).token();
    assert_wrong_token(&app.verify_email(&first.token()));
    assert!(!app.is_verified(&session.access_token));
    app.verify_email(&latest).assert(200, &json!({"result": "Email verified"}));
    assert_wrong_token(&app.verify_email(&latest));
    // The session goes on, and shows the change at once.
    session.assert_lives([app]);
    assert!(app.is_verified(&session.access_token));
    assert!(app.is_verified(&app.session_of(&session.email).access_token));
    let sent = scene.mailbox.count(&session.email);
    app.request_email_verification(&session.access_token).assert(202, &json!({"result": RESULT}));
    // A later mail shows that the server has sent none before it.
    scene.reset_token(&session.email);
    assert_eq!(scene.mailbox.count(&session.email), sent + 1);
}

#[rstest]
fn a_request_for_a_link_renews_an_expired_access_token(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[&SECRETS[..], &[OPTIONAL]].concat());
    let session = scene.app.new_session();
    let expired = expired_access_token(&session);
    let headers = [("Authorization", &*expired), ("Refresh-Token", &*session.refresh_token)];
    let answer = scene.app.send("POST", "/email/verification", &headers, None);
    let token = text(&answer, "access_token");
    answer.assert(202, &json!({"result": RESULT, "access_token": token}));
    assert_eq!(answer.header("access-token"), Some(&*token));
    let body = json!({"email": unique_email(), "password": PASSWORD}).to_string();
    let answer = scene.app.send("PUT", "/user/email", &headers, Some(&body));
    assert_eq!((answer.status, answer.header("access-token")), (202, Some(&*text(&answer, "access_token"))));
}

#[rstest]
fn required_refuses_sign_ins_until_the_email_is_verified(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[REQUIRED]);
    let app = &scene.app;
    let email = app.new_account();
    let first = scene.mailbox.wait_for(&email).token();
    app.authenticate(&email, "wrong horse").assert_error(401, "invalid_credentials");
    let refused = app.authenticate(&email, PASSWORD);
    refused.assert_error(403, "email_not_verified");
    assert_eq!(refused.header("www-authenticate"), None);
    let second = scene.mailbox.wait_for(&email).token();
    assert_wrong_token(&app.verify_email(&first));
    app.authenticate(&email, PASSWORD).assert_error(403, "email_not_verified");
    let third = scene.mailbox.wait_for(&email).token();
    assert_wrong_token(&app.verify_email(&second));
    app.verify_email(&third).assert(200, &json!({"result": "Email verified"}));
    let session = app.session_of(&email);
    assert!(app.is_verified(&session.access_token));
    // A reset verifies, too.
    let other = app.new_account();
    scene.mailbox.wait_for(&other);
    let token = scene.reset_token(&other);
    assert_eq!(app.reset_password(&token, NEW_PASSWORD).status, 200);
    assert_eq!(app.authenticate(&other, NEW_PASSWORD).status, 200);
}

/// A right password is no failed guess, even if the sign-in is refused.
#[rstest]
fn refused_sign_ins_with_the_right_password_are_no_guesses(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[REQUIRED]);
    let email = scene.app.new_account();
    for _ in 0..8 {
        scene.app.authenticate(&email, PASSWORD).assert_error(403, "email_not_verified");
    }
}

#[test]
fn the_command_line_verifies_for_a_server_that_requires_it() {
    let scene = Scene::start(Redis, &[REQUIRED]);
    let app = &scene.app;
    let (shown, created) = (app.new_account(), unique_email());
    app.authenticate(&shown, PASSWORD).assert_error(403, "email_not_verified");
    assert_eq!(app.cli(&["user", "verify", &shown]).status.code(), Some(0));
    assert_eq!(app.authenticate(&shown, PASSWORD).status, 200);
    assert_eq!(app.cli_with_input(&["user", "create", "--verified", &created], PASSWORD).status.code(), Some(0));
    assert_eq!(app.authenticate(&created, PASSWORD).status, 200);
}

#[rstest]
fn introspection_tells_whether_the_email_is_verified(
    #[values(Redis, Embedded)] store: Store,
    #[values("off", "optional")] verification: &str,
) {
    let scene = Scene::start(store, &[("EMAIL_VERIFICATION", verification), RESOURCE_SERVERS]);
    let app = &scene.app;
    let session = app.new_session();
    let shown = || app.introspect(&session.access_token).json().get("email_verified").and_then(Value::as_bool);
    let is_shown = verification == "optional";
    assert_eq!(shown(), is_shown.then_some(false));
    if !is_shown {
        assert_eq!(app.request_email_verification(&session.access_token).status, 202);
    }
    assert_eq!(app.verify_email(&scene.token("verify", &session.email)).status, 200);
    assert_eq!(shown(), is_shown.then_some(true));
}

/// With `off`, a sign-up sends nothing, and the profile does not speak of the verification.
#[rstest]
fn off_sends_links_only_when_asked(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[]);
    let app = &scene.app;
    let session = app.new_session();
    let profile = app.current_user(&session.access_token).json();
    assert!(profile["data"].get("email_verified").is_none(), "{profile}");
    assert_eq!(app.request_email_verification(&session.access_token).status, 202);
    let token = scene.mailbox.wait_for(&session.email).token();
    assert_eq!(scene.mailbox.count(&session.email), 1, "the sign-up sent nothing");
    assert_eq!(app.verify_email(&token).status, 200);
    app.request_email_verification("no token").assert_error(401, "invalid_token");
    app.send("POST", "/email/verification", &[], None).assert_error(401, "token_missing");
}
