//! The limits on mails, and on wrong tokens.

use rstest::rstest;
use serde_json::{Value, json};

use super::scene::{NEW_PASSWORD, Scene, assert_wrong_token, next_token, with_mail};
use crate::support::{
    Answer, Mailbox, PASSWORD, PROXY,
    Store::{self, Embedded, Redis},
    TestApp, assert_throttled, guess_until_throttled, replicas, unique_address, unique_email,
};

/// The number of links that a mailbox gets in an hour.
const LINKS: usize = 5;

fn send_from(app: &TestApp, address: &str, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let (bearer, body) = (format!("Bearer {token}"), body.to_string());
    let headers = [("X-Forwarded-For", address), ("Authorization", &bearer)];
    app.send(method, path, if token.is_empty() { &headers[..1] } else { &headers }, Some(&body))
}

/// All replicas and all routes share the count of a client address.
#[rstest]
fn a_client_address_causes_only_so_many_mails(#[values(Redis, Embedded)] store: Store) {
    let mailbox = Mailbox::start();
    let url = mailbox.url();
    let settings = with_mail(&url, &[("MAIL_LIMIT_PER_HOUR", "3"), PROXY]);
    let replicas = replicas(store, &settings);
    let app = |n: usize| &replicas[n % replicas.len()];
    let (address, other) = (unique_address(), unique_address());
    let session = app(0).new_session();
    let forgot = |n: usize, address: &str, email: &str| {
        send_from(app(n), address, "", "POST", "/password/forgot", &json!({"email": email}))
    };
    assert_eq!(forgot(0, &address, &unique_email()).status, 202, "an unknown email counts, too");
    let change = json!({"email": unique_email(), "password": PASSWORD});
    let change = |n, address: &str| send_from(app(n), address, &session.access_token, "PUT", "/user/email", &change);
    assert_eq!(change(1, &address).status, 202);
    let verification =
        |n, address: &str| send_from(app(n), address, &session.access_token, "POST", "/email/verification", &json!({}));
    assert_eq!(verification(2, &address).status, 202);
    assert!(assert_throttled(&forgot(0, &address, &session.email)) > 3_000);
    assert_throttled(&forgot(1, &address, &unique_email()));
    assert_throttled(&change(2, &address));
    assert_throttled(&verification(3, &address));
    assert_eq!(forgot(4, &other, &session.email).status, 202);
}

/// A mailbox gets no more links, the answers stay the same, and the latest link stays valid.
#[rstest]
fn a_mailbox_gets_only_so_many_links(#[values(Redis, Embedded)] store: Store) {
    let mailbox = Mailbox::start();
    let url = mailbox.url();
    let replicas = replicas(store, &with_mail(&url, &[("EMAIL_VERIFICATION", "required")]));
    let app = |n: usize| &replicas[n % replicas.len()];
    let email = app(0).new_account();
    let (known, unknown): (Vec<_>, Vec<_>) = (0..LINKS + 2)
        .map(|n| (app(n).forgot_password(&email), app(n).forgot_password(&unique_email())))
        .map(|(known, unknown)| ((known.status, known.body), (unknown.status, unknown.body)))
        .unzip();
    assert_eq!(known, unknown);
    app(0).authenticate(&email, PASSWORD).assert_error(403, "email_not_verified");
    // The sign-up has sent the first link.
    let tokens: Vec<_> = (1..LINKS).map(|_| next_token(&mailbox, "reset", &email)).collect();
    // The mails may arrive in another order. Only the latest link works.
    let answers = tokens.iter().enumerate().map(|(n, token)| app(n).reset_password(token, NEW_PASSWORD));
    let (right, wrong): (Vec<_>, Vec<_>) = answers.partition(|answer| answer.status == 200);
    assert_eq!((right.len(), wrong.len()), (1, LINKS - 2));
    wrong.iter().for_each(assert_wrong_token);
    let session = app(0).sign_in(&email, NEW_PASSWORD);
    // The notice of the new password is no link, and has no limit.
    mailbox.wait_for(&email);
    assert_eq!(mailbox.count(&email), LINKS + 1);
    assert_eq!(app(1).change_email(&session.access_token, &unique_email(), NEW_PASSWORD).status, 202);
    assert_eq!(mailbox.count(&email), LINKS + 1, "nothing was requested, so there is nothing to tell");
}

/// Many accounts and many sign-ups cannot flood the mailbox of a stranger.
#[rstest]
fn nobody_floods_the_mailbox_of_a_stranger(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[("EMAIL_VERIFICATION", "optional")]);
    let app = &scene.app;
    let stranger = unique_email();
    for n in 0..LINKS + 2 {
        match n % 2 {
            0 => {
                let session = app.new_session();
                assert_eq!(app.change_email(&session.access_token, &stranger, PASSWORD).status, 202);
            }
            _ => {
                assert_eq!(app.sign_up(&stranger, PASSWORD).status, 201);
                assert_eq!(app.delete_user(&app.session_of(&stranger).access_token, PASSWORD).status, 200);
            }
        }
    }
    // A mail to another mailbox shows that all earlier mails have arrived.
    scene.reset_token(&app.new_account());
    assert_eq!(scene.mailbox.count(&stranger), LINKS);
}

/// Wrong tokens count as failed sign-ins of the client address. Right ones do not count.
#[rstest]
fn a_client_address_tries_only_so_many_tokens(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[("ADDRESS_LIMIT", "3"), PROXY]);
    let app = &scene.app;
    let (address, other) = (unique_address(), unique_address());
    let send = |address: &str, path: &str, token: &str| {
        let body = json!({"token": token, "new_password": NEW_PASSWORD});
        send_from(app, address, "", "POST", path, &body)
    };
    for _ in 0..4 {
        let token = scene.reset_token(&app.new_account());
        assert_eq!(send(&address, "/password/reset", &token).status, 200);
    }
    let token = scene.reset_token(&app.new_account());
    assert_wrong_token(&send(&address, "/password/reset", "reset_x"));
    assert_wrong_token(&send(&address, "/email/verify", &token));
    assert_wrong_token(&send(&address, "/email/verify", ""));
    assert_throttled(&send(&address, "/password/reset", &token));
    assert_throttled(&send(&address, "/email/verify", "verify_x"));
    assert_throttled(&app.authenticate_from(&address, &unique_email(), PASSWORD));
    assert_eq!(send(&other, "/password/reset", &token).status, 200);
}

/// The password that confirms a change counts like one at a sign-in.
#[rstest]
fn the_password_of_a_change_is_a_guess(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[]);
    let session = scene.app.new_session();
    let guess = |password: &str| scene.app.change_email(&session.access_token, &unique_email(), password);
    for _ in 0..LINKS + 1 {
        assert_eq!(guess(PASSWORD).status, 202, "a right password is no failure");
    }
    guess_until_throttled(|| guess("wrong horse"));
    assert_throttled(&guess(PASSWORD));
    session.assert_lives([&scene.app]);
}
