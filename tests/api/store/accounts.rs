//! The contract of the store for accounts, as `crates/store/src/accounts.rs` documents it.

use auth_service_records::session::Outcome;
use rstest::rstest;

use super::scene::{LONG, Scene, same, session, user};
use crate::support::Store::{self as On, Embedded, Redis};

#[rstest]
fn create_user_is_true_once_and_keeps_the_first(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let (first, second) = (user(), user());
    assert!(scene.create(&first));
    assert!(!scene.create(&second));
    assert!(!scene.create(&first), "the same record is refused after the first answer, too");
    assert!(same(&scene.find().unwrap(), &first));
}

#[rstest]
fn concurrent_create_user_is_true_for_exactly_one(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let tag = scene.tag;
    let users: Vec<_> = (0..50).map(|_| user()).collect();
    let created = scene.at_once(50, |store, n| {
        let user = users[n].clone();
        async move { store.create_user(tag, &user).await }
    });
    let winners: Vec<_> = users.iter().zip(created).filter(|(_, created)| *created).collect();
    assert_eq!(winners.len(), 1);
    assert!(same(&scene.find().unwrap(), winners[0].0));
}

#[rstest]
fn find_user_returns_what_was_created(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    assert!(scene.find().is_none());
    let user = user();
    assert!(scene.create(&user));
    assert!(same(&scene.find().unwrap(), &user));
}

#[rstest]
fn delete_user_ends_account_and_tokens(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let sid = scene.sign_in();
    let stored = scene.find().unwrap();
    assert!(scene.delete(&stored));
    assert!(scene.find().is_none() && !scene.lives(sid) && !scene.refresh(sid));
    assert!(!scene.remove() && !scene.delete(&stored));
    let next = scene.sign_in();
    assert!(scene.lives(next) && !scene.lives(sid), "a later account with this email is another account");
}

#[rstest]
fn delete_user_wins_over_concurrent_sign_ins(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let tag = scene.tag;
    for _ in 0..20 {
        assert!(scene.create(&user()));
        let stored = scene.find().unwrap();
        let sessions: Vec<_> = (0..20).map(|_| session()).collect();
        let answers = scene.at_once(20, |store, n| {
            let (stored, session) = (stored.clone(), sessions[n].clone());
            async move {
                if n == 10 {
                    store.delete_user(tag, &stored, None).await.map(|outcome| outcome == Outcome::Done)
                } else {
                    store.open_session(tag, &stored, None, &session, None).await.map(|epoch| epoch.is_some())
                }
            }
        });
        assert!(answers.contains(&true));
        assert!(sessions.iter().all(|session| !scene.lives(session.sid) && !scene.refresh(session.sid)));
        assert!(scene.find().is_none() && !scene.remove());
    }
}

#[rstest]
fn users_and_sessions_are_there_after_the_store_is_reopened(#[values(Redis, Embedded)] store: On) {
    let mut scene = Scene::new(store, LONG);
    let user = user();
    assert!(scene.create(&user));
    let session = session();
    assert!(scene.open_session(&scene.find().unwrap(), None, &session));
    scene.open(LONG);
    assert!(same(&scene.find().unwrap(), &user) && scene.lives(session.sid) && scene.refresh(session.sid));
}

#[rstest]
fn ready_succeeds(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    scene.run(async |store| store.ready().await);
}
