//! Mails, and accounts with a second factor.

use rstest::rstest;

use super::scene::{NEW_PASSWORD, Scene};
use crate::support::{
    PASSWORD, Session,
    Store::{self, Embedded, Redis},
    assert_throttled, text, unique_email, wait_until_compared,
};

#[rstest]
fn the_owner_is_told_when_a_second_factor_is_enabled_or_removed(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[]);
    let (session, authenticator) = scene.app.account_with_totp();
    let enabled = scene.mailbox.wait_for(&session.email);
    let code = authenticator.code();
    assert_eq!(scene.app.remove_totp(&session.access_token, PASSWORD, &code).status, 200);
    let removed = scene.mailbox.wait_for(&session.email);
    assert_ne!(enabled.text, removed.text);
    for mail in [&enabled, &removed] {
        let secrets = authenticator.recovery_codes.iter().chain([&authenticator.secret, &code]);
        for secret in secrets {
            assert!(!mail.raw.contains(secret.as_str()), "{mail:?}");
        }
    }
}

/// Whoever signs up with the address of another person cannot lock out its owner with a second factor.
#[rstest]
fn only_a_verified_email_gets_a_second_factor(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[("EMAIL_VERIFICATION", "optional")]);
    let app = &scene.app;
    let session = app.new_session();
    app.start_totp(&session.access_token, "wrong horse").assert_error(403, "wrong_password");
    app.start_totp(&session.access_token, PASSWORD).assert_error(403, "email_not_verified");
    app.confirm_totp(&session.access_token, "081804").assert_error(404, "totp_not_started");
    assert_eq!(app.verify_email(&scene.token("verify", &session.email)).status, 200);
    assert_eq!(app.start_totp(&session.access_token, PASSWORD).status, 201);
}

#[rstest]
fn a_reset_by_mail_leaves_the_second_factor_in_place(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[]);
    let (app, (session, authenticator)) = (&scene.app, scene.app.account_with_totp());
    let before = app.mfa_token(&session.email);
    let token = scene.reset_token(&session.email);
    assert_eq!(app.reset_password(&token, NEW_PASSWORD).status, 200);
    let code = authenticator.code();
    app.authenticate_totp(&before, &code).assert_error(401, "invalid_mfa_token");
    let answer = app.authenticate(&session.email, NEW_PASSWORD);
    answer.assert_error(401, "mfa_required");
    let signed_in = app.authenticate_totp(&text(&answer, "mfa_token"), &code);
    Session::of(&session.email, &signed_in).assert_lives([app]);
}

#[rstest]
fn a_reset_by_mail_resets_no_failures_of_codes(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[]);
    let (app, (session, authenticator)) = (&scene.app, scene.app.account_with_totp());
    let token = scene.reset_token(&session.email);
    let (wrong, mfa_token) = (authenticator.wrong_code(), app.mfa_token(&session.email));
    // The sixth failure starts a wait of two seconds, and the seventh one of four.
    for _ in 0..7 {
        wait_until_compared(|| app.authenticate_totp(&mfa_token, &wrong));
    }
    assert_eq!(app.reset_password(&token, NEW_PASSWORD).status, 200);
    assert_throttled(&app.authenticate(&session.email, NEW_PASSWORD));
}

#[rstest]
fn a_changed_email_keeps_the_second_factor(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[]);
    let (app, (session, authenticator)) = (&scene.app, scene.app.account_with_totp());
    let (before, new) = (app.mfa_token(&session.email), unique_email());
    let token = scene.change_token(&session.access_token, &new, PASSWORD);
    assert_eq!(app.verify_email(&token).status, 200);
    app.authenticate(&session.email, PASSWORD).assert_error(401, "invalid_credentials");
    app.authenticate_totp(&before, authenticator.recovery_code()).assert_error(401, "invalid_mfa_token");
    app.sign_in_with(&new, &authenticator.code()).assert_lives([app]);
    app.sign_in_with(&new, authenticator.recovery_code()).assert_lives([app]);
}
