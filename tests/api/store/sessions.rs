//! The contract of the store for sessions, as `crates/store/src/sessions.rs` documents it.

use auth_service_records::{
    session::{Access, Outcome, Renewed},
    user::User,
};
use auth_service_token::Id;
use rstest::rstest;
use uuid::Uuid;

use super::scene::{LONG, Scene, policy, refresh, same, session, user};
use crate::support::{
    Store::{self as On, Embedded, Redis},
    unix_seconds, wait_until, wait_until_after,
};

#[rstest]
fn open_session_makes_its_tokens_live_and_no_others(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let (first, second) = (scene.sign_in(), scene.sign_in());
    assert!(scene.lives(first) && scene.lives(second), "sessions do not disturb each other");
    assert!(!scene.lives(Id::random().unwrap()));
    let elsewhere = Id::random().unwrap();
    let found = scene.run(async |store| store.check_access(elsewhere, first).await);
    assert!(found.is_none(), "a session belongs to its user");
    assert!(!scene.run(async |store| refresh(&store, elsewhere, first).await));
}

#[rstest]
fn open_session_refuses_a_record_that_changed_or_is_gone(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let original = user();
    assert!(scene.create(&original));
    let stored = scene.find().unwrap();
    let changed = User { password_hash: "another password".to_owned(), ..original.clone() };
    assert!(scene.open_session(&stored, Some(&changed), &session()));

    let late = session();
    assert!(!scene.open_session(&stored, None, &late), "the password has changed since");
    assert!(!scene.open_session(&stored, Some(&original), &late));
    assert!(!scene.lives(late.sid) && !scene.refresh(late.sid));
    assert!(same(&scene.find().unwrap(), &changed), "the old record was not put back");

    let stored = scene.find().unwrap();
    assert!(scene.delete(&stored));
    assert!(!scene.open_session(&stored, Some(&original), &late), "the account is gone");
    assert!(scene.find().is_none() && !scene.lives(late.sid));
    assert!(scene.create(&User { id: Uuid::new_v4(), ..changed }));
    assert!(!scene.open_session(&stored, None, &late), "another account with the same email");
}

#[rstest]
fn open_session_stores_the_upgraded_record(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let original = user();
    assert!(scene.create(&original));
    let upgraded = User { password_hash: "a costlier hash".to_owned(), ..original };
    let session = session();
    assert!(scene.open_session(&scene.find().unwrap(), Some(&upgraded), &session));
    assert!(same(&scene.find().unwrap(), &upgraded) && scene.lives(session.sid));
}

#[rstest]
fn check_access_returns_the_user(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let user = user();
    assert!(scene.create(&user));
    let session = session();
    let access = || scene.run(async |store| store.check_access(scene.tag, session.sid).await);
    assert_eq!(access(), None);
    assert!(scene.open_session(&scene.find().unwrap(), None, &session));
    let User { email, created_at, .. } = user;
    assert_eq!(access(), Some(Access { email, created_at, email_verified: false, totp_enabled: false }));
    assert!(scene.remove());
    assert_eq!(access(), None);
}

#[rstest]
fn refresh_renews_the_access_entry_only_while_the_refresh_entry_lives(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, policy(1, 4));
    let sid = scene.sign_in();
    wait_until("the access entry expires", || !scene.lives(sid));
    assert!(scene.refresh(sid), "the refresh entry still lives");
    assert!(scene.lives(sid));
    wait_until("the refresh entry expires", || !scene.refresh(sid));
    wait_until("the last access entry expires", || !scene.lives(sid));
    assert!(!scene.refresh(sid) && !scene.refresh(Id::random().unwrap()));
    assert!(!scene.lives(sid), "a refused refresh changes nothing");
}

/// `remove_tokens` knows only from the epoch whether any token is alive.
#[rstest]
fn the_epoch_ends_with_the_last_token(#[values(Redis, Embedded)] store: On) {
    // The lifetimes are equal, so that a late refresh gives an access token that outlives the refresh token.
    let scene = Scene::new(store, policy(2, 2));
    let sid = scene.sign_in();
    wait_until("the refresh entry expires", || !scene.refresh(sid));
    assert!(scene.lives(sid), "the last access token outlives the refresh token");
    wait_until("the access entry expires", || !scene.lives(sid));
    wait_until_after(unix_seconds());
    assert!(!scene.remove(), "the epoch has ended");
}

#[rstest]
fn a_later_sign_in_shortens_no_session(#[values(Redis, Embedded)] store: On) {
    let mut scene = Scene::new(store, LONG);
    let long = scene.sign_in();
    scene.open(policy(1, 1));
    let short = scene.sign_in();
    assert!(scene.lives(short));
    wait_until("the short session expires", || !scene.lives(short));
    assert!(scene.lives(long), "the long session keeps its lifetime");
}

#[rstest]
fn neither_refresh_nor_renewal_ends_an_access_token_before_its_time(#[values(Redis, Embedded)] store: On) {
    let mut scene = Scene::new(store, LONG);
    let sids = [scene.sign_in(), scene.sign_in()];
    scene.open(policy(1, 120));
    assert!(scene.refresh(sids[0]));
    let renewed = scene.run(async |store| store.renew(scene.tag, sids[1], sids[1]).await);
    assert!(matches!(renewed, Renewed::Live { access_seconds: 1, .. }), "{renewed:?}");
    let short = scene.sign_in();
    wait_until("the access token with a TTL of 1 s expires", || !scene.lives(short));
    assert!(sids.iter().all(|sid| scene.lives(*sid)), "access tokens with a TTL of 60 s keep it");
}

#[rstest]
fn remove_tokens_is_true_if_any_token_was_alive(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    assert!(!scene.remove(), "there is no account");
    assert!(scene.create(&user()));
    assert!(!scene.remove(), "the account never signed in");
    let (first, second) = (scene.sign_in(), scene.sign_in());
    assert!(scene.remove());
    for sid in [first, second] {
        assert!(!scene.lives(sid) && !scene.refresh(sid));
    }
    assert!(!scene.remove(), "no token is left");
    let third = scene.sign_in();
    assert!(scene.lives(third) && !scene.lives(first) && !scene.refresh(second), "a new epoch revives no old session");
}

#[rstest]
fn remove_tokens_is_false_after_all_have_expired(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, policy(1, 1));
    let sid = scene.sign_in();
    wait_until("the session expires", || !scene.refresh(sid) && !scene.lives(sid));
    wait_until_after(unix_seconds());
    assert!(!scene.remove());
    assert!(scene.find().is_some(), "users never expire");
}

#[rstest]
fn remove_tokens_wins_over_concurrent_refreshes(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let tag = scene.tag;
    for _ in 0..20 {
        let sid = scene.sign_in();
        let answers = scene.at_once(20, |store, n| async move {
            if n == 10 {
                store.remove_tokens(tag, None).await.map(|outcome| outcome == Outcome::Done)
            } else {
                refresh(&store, tag, sid).await
            }
        });
        assert!(answers.contains(&true));
        assert!(!scene.lives(sid) && !scene.refresh(sid) && !scene.remove());
    }
}
