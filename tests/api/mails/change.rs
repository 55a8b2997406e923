//! The change of an email.

use rstest::rstest;
use serde_json::json;

use super::scene::{NEW_PASSWORD, Scene, assert_wrong_token};
use crate::support::{
    PASSWORD, PUBLIC_URL,
    Store::{self, Embedded, Redis},
    claims, unique_email,
};

const RESULT: &str = "A mail is on its way to the new email, which replaces the current email when the link is opened";
const VERIFICATION: (&str, &str) = ("EMAIL_VERIFICATION", "optional");

#[rstest]
fn a_link_moves_the_account_to_the_new_email(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[VERIFICATION]);
    let app = &scene.app;
    let (session, new) = (app.new_session(), format!("New.{}", unique_email()));
    let old = session.email.clone();
    scene.mailbox.wait_for(&old);
    app.change_email(&session.access_token, &new, "wrong horse").assert_error(403, "wrong_password");
    app.change_email(&session.access_token, &new, PASSWORD).assert(202, &json!({"result": RESULT}));
    let link = scene.mailbox.wait_for(&new);
    assert!(link.text.contains(&format!("{PUBLIC_URL}#token=change_")), "{}", link.text);
    // The present email learns of the request, but gets no link.
    assert!(!scene.mailbox.wait_for(&old).text.contains("token="));
    // Both hold until somebody opens the link: the present email signs in, and the new one is free.
    session.assert_lives([app]);
    let second = app.session_of(&old);
    app.authenticate(&new, PASSWORD).assert_error(401, "invalid_credentials");

    app.verify_email(&link.token()).assert(200, &json!({"result": "Email changed, all sessions ended"}));
    session.assert_dead([app]);
    second.assert_dead([app]);
    app.authenticate(&old, PASSWORD).assert_error(401, "invalid_credentials");
    let moved = app.sign_in(&new.to_lowercase(), PASSWORD);
    assert_eq!(claims(&moved.access_token)["sub"], claims(&session.access_token)["sub"]);
    let profile = app.current_user(&moved.access_token).json();
    assert_eq!((&profile["data"]["email"], &profile["data"]["email_verified"]), (&json!(new), &json!(true)));
    assert!(!scene.mailbox.wait_for(&old).text.contains("token="));
    assert_wrong_token(&app.verify_email(&link.token()));
    // The old email is free for somebody else.
    assert_eq!(app.sign_up(&old, NEW_PASSWORD).status, 201);
    let other = app.sign_in(&old, NEW_PASSWORD);
    assert_ne!(claims(&other.access_token)["sub"], claims(&moved.access_token)["sub"]);
    assert_eq!(app.current_user(&moved.access_token).status, 200);
}

/// No link of the account outlives the change, and a link to the old mailbox never gives access to the new account.
#[rstest]
fn the_links_of_the_former_email_end_with_the_change(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[VERIFICATION]);
    let app = &scene.app;
    let (session, new) = (app.new_session(), unique_email());
    let verify = scene.mailbox.wait_for(&session.email).token();
    let reset = scene.reset_token(&session.email);
    let change = scene.change_token(&session.access_token, &new, PASSWORD);
    assert_eq!(app.verify_email(&change).status, 200);
    assert_wrong_token(&app.reset_password(&reset, NEW_PASSWORD));
    assert_wrong_token(&app.verify_email(&verify));
    assert_eq!(app.sign_up(&session.email, NEW_PASSWORD).status, 201);
    assert_wrong_token(&app.reset_password(&reset, PASSWORD));
    assert_wrong_token(&app.verify_email(&change));
    assert_eq!(app.authenticate(&new, PASSWORD).status, 200);
}

#[rstest]
fn a_link_to_an_email_that_has_an_account_meanwhile_changes_nothing(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[]);
    let app = &scene.app;
    let (session, new) = (app.new_session(), unique_email());
    let token = scene.change_token(&session.access_token, &new, PASSWORD);
    assert_eq!(app.sign_up(&new, NEW_PASSWORD).status, 201);
    app.verify_email(&token).assert_error(409, "email_taken");
    session.assert_lives([app]);
    assert_eq!(app.authenticate(&new, NEW_PASSWORD).status, 200);
    assert_eq!(app.authenticate(&session.email, PASSWORD).status, 200);
}

/// A password change ends a change of the email that somebody else may have asked for.
#[rstest]
fn a_new_password_ends_the_change(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[]);
    let app = &scene.app;
    let session = app.new_session();
    let (first, second) = (unique_email(), unique_email());
    let token = scene.change_token(&session.access_token, &first, PASSWORD);
    assert_eq!(app.change_password(&session.access_token, PASSWORD, NEW_PASSWORD).status, 200);
    assert_wrong_token(&app.verify_email(&token));
    let session = app.sign_in(&session.email, NEW_PASSWORD);
    let replaced = scene.change_token(&session.access_token, &first, NEW_PASSWORD);
    let latest = scene.change_token(&session.access_token, &second, NEW_PASSWORD);
    assert_wrong_token(&app.verify_email(&replaced));
    assert_eq!(app.verify_email(&latest).status, 200);
    assert_eq!(app.authenticate(&second, NEW_PASSWORD).status, 200);
}

#[rstest]
fn another_spelling_of_the_same_email_works_the_same_way(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[]);
    let app = &scene.app;
    let session = app.new_session();
    let spelled = session.email.replace("user", "User");
    let token = scene.change_token(&session.access_token, &spelled, PASSWORD);
    assert_eq!(app.verify_email(&token).status, 200);
    session.assert_dead([app]);
    let again = app.sign_in(&session.email, PASSWORD);
    assert_eq!(app.current_user(&again.access_token).json()["data"]["email"], spelled);
}
