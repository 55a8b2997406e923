//! Tests of accounts.

use auth_service_records::{
    session::Outcome,
    throttle::{Admission, FREE_FAILURES, KnownAddresses},
    user::User,
};

use super::scene::{POLICY, START, Scene, id, user};

#[tokio::test]
async fn a_tag_has_one_account() {
    let scene = Scene::new(POLICY);
    assert!(scene.store.find_user(scene.tag).unwrap().is_none());
    assert!(scene.store.create_user(scene.tag, &user()).await.unwrap());
    assert!(!scene.store.create_user(scene.tag, &User { email: "b@c.d".to_owned(), ..user() }).await.unwrap());
    assert_eq!(scene.find().user.email, user().email);
}

#[tokio::test]
async fn deletion_leaves_no_row() {
    let scene = Scene::new(POLICY);
    let (first, _) = (scene.sign_in().await, scene.sign_in().await);
    assert_eq!(scene.row_counts(), [1, 2, 2]);
    let stored = scene.find();
    assert_eq!(scene.store.delete_user(scene.tag, &stored, Some(id())).await.unwrap(), Outcome::Refused);
    assert_eq!(scene.store.delete_user(scene.tag, &stored, Some(first)).await.unwrap(), Outcome::Done);
    assert_eq!(scene.row_counts(), [0, 0, 0]);
    assert!(scene.store.find_user(scene.tag).unwrap().is_none() && !scene.lives(first));
    assert_eq!(scene.store.delete_user(scene.tag, &stored, None).await.unwrap(), Outcome::NotThere);
}

#[tokio::test]
async fn deletion_finds_what_a_removal_has_orphaned() {
    let scene = Scene::new(POLICY);
    scene.sign_in().await;
    assert_eq!(scene.store.remove_tokens(scene.tag, None).await.unwrap(), Outcome::Done);
    assert_eq!(scene.row_counts(), [0, 1, 1]);
    assert_eq!(scene.store.delete_user(scene.tag, &scene.find(), None).await.unwrap(), Outcome::Done);
    assert_eq!(scene.row_counts(), [0, 0, 0]);
}

#[tokio::test]
async fn deletion_is_for_the_account_as_it_was_seen() {
    let scene = Scene::new(POLICY);
    let stored = scene.sign_up().await;
    let changed = User { password_hash: "another".to_owned(), ..user() };
    let session = super::scene::session();
    assert!(scene.store.open_session(scene.tag, &stored, Some(&changed), &session, None).await.unwrap().is_some());
    assert_eq!(scene.store.delete_user(scene.tag, &stored, None).await.unwrap(), Outcome::NotThere);
    assert!(scene.lives(session.sid));
}

#[tokio::test]
async fn deletion_forgets_the_failures() {
    let scene = Scene::new(POLICY);
    let known = id();
    let mut known_addresses = KnownAddresses::default();
    known_addresses.remember(known, START);
    assert!(scene.store.create_user(scene.tag, &User { known_addresses, ..user() }).await.unwrap());
    for address in [None, Some(known)] {
        for _ in 0..=FREE_FAILURES {
            assert_eq!(scene.store.admit_guess(scene.tag, address), Admission::Admitted);
        }
        assert_eq!(scene.store.admit_guess(scene.tag, address), Admission::Wait(1));
    }
    assert_eq!(scene.store.delete_user(scene.tag, &scene.find(), None).await.unwrap(), Outcome::Done);
    for address in [None, Some(known)] {
        assert_eq!(scene.store.admit_guess(scene.tag, address), Admission::Admitted);
    }
}
