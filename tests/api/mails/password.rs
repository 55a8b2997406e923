//! A forgotten password.

use rstest::rstest;
use serde_json::json;

use super::scene::{NEW_PASSWORD, Scene, assert_wrong_token};
use crate::support::{
    PASSWORD, PUBLIC_URL,
    Store::{self, Embedded, Redis},
    text, unique_email,
};

const VERIFICATION: (&str, &str) = ("EMAIL_VERIFICATION", "optional");
const STRONG: &str = "seven purple tractors sing";

#[rstest]
fn a_link_resets_the_password_and_ends_all_sessions(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[VERIFICATION]);
    let app = &scene.app;
    let session = app.new_session();
    scene.mailbox.wait_for(&session.email);
    assert!(!app.is_verified(&session.access_token));
    let answer = app.forgot_password(&session.email.to_uppercase());
    answer.assert(202, &json!({"result": "If there is an account with this email, a mail is on its way"}));
    // The mail goes to the spelling of the account.
    let mail = scene.mailbox.wait_for(&session.email);
    assert!(mail.text.contains(&format!("{PUBLIC_URL}#token=reset_")), "{}", mail.text);
    let token = mail.token();
    // The link alone changes nothing.
    session.assert_lives([app]);
    let answer = app.reset_password(&token, NEW_PASSWORD);
    answer.assert(200, &json!({"result": "Password reset, all sessions ended"}));
    session.assert_dead([app]);
    app.authenticate(&session.email, PASSWORD).assert_error(401, "invalid_credentials");
    let session = app.sign_in(&session.email, NEW_PASSWORD);
    // Only the owner of the mailbox could know the token.
    assert!(app.is_verified(&session.access_token));
    let notice = scene.mailbox.wait_for(&session.email);
    assert!(!notice.text.contains("token="), "{}", notice.text);
    assert_wrong_token(&app.reset_password(&token, PASSWORD));
    session.assert_lives([app]);
}

#[rstest]
fn a_weak_password_does_not_spend_the_token(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[("PASSWORD_MIN_SCORE", "3")]);
    let email = unique_email();
    assert_eq!(scene.app.sign_up(&email, "nine orange harvesters hum").status, 201);
    let token = scene.reset_token(&email);
    scene.app.reset_password(&token, "short").assert_invalid(&["new_password"]);
    scene.app.reset_password(&token, "password1").assert_invalid(&["new_password"]);
    scene.app.send_json("POST", "/password/reset", &json!({"token": 7})).assert_invalid(&["token", "new_password"]);
    assert_eq!(scene.app.reset_password(&token, STRONG).status, 200);
    assert_eq!(scene.app.authenticate(&email, STRONG).status, 200);
}

/// A newer link, a new password and a new account with the same email each make a link worthless.
#[rstest]
fn only_the_latest_link_of_the_account_works(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[]);
    let app = &scene.app;
    let session = app.new_session();
    let former = scene.reset_token(&session.email);
    let latest = scene.reset_token(&session.email);
    assert_wrong_token(&app.reset_password(&former, NEW_PASSWORD));
    let changed = app.change_password(&session.access_token, PASSWORD, NEW_PASSWORD);
    assert_eq!(changed.status, 200, "{changed:?}");
    scene.mailbox.wait_for(&session.email);
    assert_wrong_token(&app.reset_password(&latest, PASSWORD));
    let of_deleted = scene.reset_token(&session.email);
    assert_eq!(app.delete_user(&text(&changed, "access_token"), NEW_PASSWORD).status, 200);
    assert_wrong_token(&app.reset_password(&of_deleted, PASSWORD));
    assert_eq!(app.sign_up(&session.email, PASSWORD).status, 201);
    assert_wrong_token(&app.reset_password(&of_deleted, NEW_PASSWORD));
    assert_eq!(app.authenticate(&session.email, PASSWORD).status, 200);
}

/// The failures of somebody else must not keep the owner out.
#[rstest]
fn a_reset_ends_the_wait_after_wrong_guesses(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[]);
    let email = scene.app.new_account();
    while scene.app.authenticate(&email, "wrong horse").status != 429 {}
    let token = scene.reset_token(&email);
    assert_eq!(scene.app.reset_password(&token, NEW_PASSWORD).status, 200);
    assert_eq!(scene.app.authenticate(&email, NEW_PASSWORD).status, 200);
}
