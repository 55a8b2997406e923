//! Removals at a server, and refusals at a resource server within the bound of one second.

use std::time::{Duration, Instant};

use rstest::rstest;

use super::shop::{Shop, server, verifier};
use crate::support::{
    PASSWORD, Session, Store,
    Store::{Embedded, Redis},
    TestApp, assert_refusal, wait_until,
};

const BOUND: Duration = Duration::from_secs(1);

/// Asks until the token is refused. Asserts that no request that began later than the bound after the acknowledgement
/// is served. This holds on the busiest machine: a verifier that hears nothing in time does not accept the token.
#[track_caller]
fn assert_refused_within_bound(shop: &Shop, token: &str, acknowledged: Instant, why: &str) {
    loop {
        let late = acknowledged.elapsed() > BOUND;
        let answer = shop.orders(token);
        match answer.status {
            200 => assert!(!late, "{why}: accepted after the bound"),
            // The feed is stale for a moment, because this machine is busy.
            503 => {}
            _ => return assert_refusal(&answer, token, "invalid_token", why),
        }
    }
}

/// Two servers on Redis, or the one that an embedded store allows. A removal at the last one must reach the verifier of
/// the first one.
fn servers(store: Store) -> Vec<TestApp> {
    let count = if store == Redis { 2 } else { 1 };
    (0..count).map(|_| server(store, &[])).collect()
}

#[rstest]
fn every_way_to_end_a_token_is_heard(#[values(Redis, Embedded)] store: Store) {
    let apps = servers(store);
    let (first, last) = (&apps[0], &apps[apps.len() - 1]);
    let shop = Shop::open(verifier(first.port()));
    type End = fn(&TestApp, &Session);
    let ways: [(&str, End); 6] = [
        ("removal", |app, session| assert_eq!(app.remove_access_token(&session.email).status, 200)),
        ("sign-out", |app, session| {
            assert_eq!(app.send_as(&session.access_token, "POST", "/signout", None).status, 200)
        }),
        ("the end of one session", |app, session| {
            let other = app.session_of(&session.email);
            let path = format!("/sessions/{}", session.id());
            assert_eq!(app.send_as(&other.access_token, "DELETE", &path, None).status, 200);
        }),
        ("the end of all other sessions", |app, session| {
            let other = app.session_of(&session.email);
            let answer = app.send_as(&other.access_token, "DELETE", "/sessions?except=current", None);
            assert_eq!(answer.status, 200, "{answer:?}");
        }),
        ("another password", |app, session| {
            let other = app.session_of(&session.email);
            let answer = app.change_password(&other.access_token, PASSWORD, "another password");
            assert_eq!(answer.status, 200, "{answer:?}");
        }),
        ("deletion", |app, session| assert_eq!(app.delete_user(&session.access_token, PASSWORD).status, 200)),
    ];
    for (way, end) in ways {
        let (session, bystander) = (last.new_session(), last.new_session());
        assert_eq!(shop.orders(&session.access_token).status, 200, "{way}");
        end(last, &session);
        assert_refused_within_bound(&shop, &session.access_token, Instant::now(), way);
        // The answer of an introspection is no evidence that the feed names the right ids.
        wait_until("the feed is fresh", || shop.verifier.is_fresh());
        assert_eq!(shop.orders(&bystander.access_token).status, 200, "{way}");
        assert_eq!(last.current_user(&bystander.access_token).status, 200, "{way}");
    }
}

#[test]
fn a_command_that_removes_tokens_is_heard() {
    let app = server(Redis, &[]);
    let shop = Shop::open(verifier(app.port()));
    let session = app.new_session();
    assert_eq!(shop.orders(&session.access_token).status, 200);
    let output = app.cli(&["tokens", "revoke", &session.email]);
    assert!(output.status.success(), "{output:?}");
    assert_refused_within_bound(&shop, &session.access_token, Instant::now(), "the command");
}

#[test]
fn a_removal_before_the_verifier_starts_is_known() {
    let app = server(Redis, &[]);
    let (session, bystander) = (app.new_session(), app.new_session());
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    let acknowledged = Instant::now();
    let shop = Shop::open(verifier(app.port()));
    assert_refused_within_bound(&shop, &session.access_token, acknowledged, "a token of before");
    wait_until("the feed is fresh", || shop.verifier.is_fresh());
    assert_eq!(shop.orders(&bystander.access_token).status, 200);
}

#[test]
fn a_new_sign_in_after_a_removal_is_accepted() {
    let app = server(Redis, &[]);
    let shop = Shop::open(verifier(app.port()));
    let session = app.new_session();
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    let again = app.session_of(&session.email);
    assert_refused_within_bound(&shop, &session.access_token, Instant::now(), "the old token");
    assert_eq!(shop.orders(&again.access_token).status, 200);
}
