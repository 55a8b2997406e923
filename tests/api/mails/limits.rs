//! The limits on mails, and on wrong tokens.

use rstest::rstest;
use serde_json::{Value, json};

use super::scene::{NEW_PASSWORD, Scene, assert_wrong_token, next_token, with_mail};
use crate::support::{
    Answer, Mailbox, PASSWORD, PROXY,
    Store::{self, Embedded, Redis},
    TestApp, assert_throttled, guess_until_throttled, replicas, unique_address, unique_email,
};

/// The number of links of one kind that a mailbox gets in an hour.
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
    let replicas = replicas(store, &with_mail(&url, &[]));
    let app = |n: usize| &replicas[n % replicas.len()];
    let email = app(0).new_account();
    let (known, unknown): (Vec<_>, Vec<_>) = (0..LINKS + 2)
        .map(|n| (app(n).forgot_password(&email), app(n).forgot_password(&unique_email())))
        .map(|(known, unknown)| ((known.status, known.body), (unknown.status, unknown.body)))
        .unzip();
    assert_eq!(known, unknown);
    let tokens: Vec<_> = (0..LINKS).map(|_| next_token(&mailbox, "reset", &email)).collect();
    // The mails may arrive in another order. Only the latest link works.
    let answers = tokens.iter().enumerate().map(|(n, token)| app(n).reset_password(token, NEW_PASSWORD));
    let (right, wrong): (Vec<_>, Vec<_>) = answers.partition(|answer| answer.status == 200);
    assert_eq!((right.len(), wrong.len()), (1, LINKS - 1));
    wrong.iter().for_each(assert_wrong_token);
    // The notice of the new password is no link.
    mailbox.wait_for(&email);
    assert_eq!(mailbox.count(&email), LINKS + 1);
}

/// Nobody uses up the links of another person by requests for links of another kind.
#[rstest]
fn each_kind_of_link_has_a_limit_of_its_own(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[("EMAIL_VERIFICATION", "optional")]);
    let (app, mailbox) = (&scene.app, &scene.mailbox);
    let (stranger, owner) = (app.new_session(), app.new_session());
    for _ in 0..LINKS + 1 {
        assert_eq!(app.change_email(&stranger.access_token, &owner.email, PASSWORD).status, 202);
    }
    (0..LINKS).for_each(|_| drop(next_token(mailbox, "change", &owner.email)));
    assert_eq!(app.request_email_verification(&owner.access_token).status, 202);
    let verify = next_token(mailbox, "verify", &owner.email);
    assert_eq!(app.verify_email(&verify).status, 200);
    let change = scene.change_token(&owner.access_token, &unique_email(), PASSWORD);
    let reset = scene.reset_token(&owner.email);
    assert_eq!(app.verify_email(&change).status, 200);
    assert_wrong_token(&app.reset_password(&reset, NEW_PASSWORD));
}

/// Many accounts and many sign-ups cannot flood the mailbox of a stranger.
#[rstest]
fn nobody_floods_the_mailbox_of_a_stranger(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[("EMAIL_VERIFICATION", "optional")]);
    let app = &scene.app;
    let stranger = unique_email();
    let sessions = [app.new_session(), app.new_session()];
    for n in 0..LINKS + 1 {
        assert_eq!(app.change_email(&sessions[n % 2].access_token, &stranger, PASSWORD).status, 202);
        assert_eq!(app.sign_up(&stranger, PASSWORD).status, 201);
        assert_eq!(app.delete_user(&app.session_of(&stranger).access_token, PASSWORD).status, 200);
    }
    (0..2 * LINKS).for_each(|_| drop(scene.mailbox.wait_for(&stranger)));
    // A mail to another mailbox shows that all earlier mails have arrived.
    scene.reset_token(&app.new_account());
    assert_eq!(scene.mailbox.count(&stranger), 2 * LINKS, "links that verify, and links that change");
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
