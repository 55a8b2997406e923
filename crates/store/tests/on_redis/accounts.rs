//! Tests of accounts.

use auth_service_records::{session::Outcome, throttle::KnownAddresses, user::User};
use uuid::Uuid;

use crate::scene::{POLICY, Scene, id, known_address, session, user};

#[tokio::test]
async fn an_email_has_one_account() {
    let scene = Scene::new(POLICY).await;
    let other = User { id: Uuid::from_u128(1), ..user() };
    assert!(!scene.store.create_user(scene.tag, &other).await.unwrap());
    let found = scene.find().await.user;
    assert_eq!((found.id, found.email, found.created_at), (user().id, user().email, user().created_at));
    assert!(scene.store.find_user(id()).await.unwrap().is_none());
    assert_eq!(scene.ttl(&scene.key("u")), -1);
}

#[tokio::test]
async fn a_deleted_account_leaves_no_key() {
    let scene = Scene::new(POLICY).await;
    let (store, tag) = (&scene.store, scene.tag);
    scene.sign_in().await;
    assert_eq!(store.remove_tokens(tag, None).await.unwrap(), Outcome::Done);
    // The removal leaves orphans for the next sign-in to delete. The deletion must find these orphans in the list.
    for known in [None, Some(known_address())] {
        store.admit_guess(tag, known).await.unwrap();
    }
    assert_eq!(scene.kinds().len(), 6, "{:?}", scene.kinds());
    assert_eq!(store.delete_user(tag, &scene.find().await, None).await.unwrap(), Outcome::Done);
    assert_eq!(scene.kinds(), Vec::<String>::new());
    assert!(store.find_user(tag).await.unwrap().is_none());
}

#[tokio::test]
async fn a_deletion_needs_an_unchanged_account_and_a_live_session() {
    let scene = Scene::new(POLICY).await;
    let (store, tag, stored) = (&scene.store, scene.tag, scene.find().await);
    assert_eq!(store.delete_user(tag, &stored, Some(id())).await.unwrap(), Outcome::Refused);
    let session = session();
    let changed = User { password_hash: "another".to_owned(), ..user() };
    assert!(store.open_session(tag, &stored, Some(&changed), &session, None).await.unwrap().is_some());
    assert_eq!(store.delete_user(tag, &stored, Some(session.sid)).await.unwrap(), Outcome::NotThere);
    assert!(scene.lives(session.sid).await);
    assert_eq!(store.delete_user(tag, &scene.find().await, Some(session.sid)).await.unwrap(), Outcome::Done);
    assert_eq!(scene.kinds(), Vec::<String>::new());
    assert_eq!(store.delete_user(tag, &stored, None).await.unwrap(), Outcome::NotThere);
}

#[tokio::test]
async fn counts_of_addresses_that_an_account_no_longer_knows_are_deleted() {
    let scene = Scene::new(POLICY).await;
    let (store, tag, known) = (&scene.store, scene.tag, known_address());
    store.admit_guess(tag, Some(known)).await.unwrap();
    assert!(scene.kinds().contains(&format!("f:{known}")));
    let changed = User { known_addresses: KnownAddresses::default(), ..user() };
    assert!(store.open_session(tag, &scene.find().await, Some(&changed), &session(), None).await.unwrap().is_some());
    assert!(!scene.kinds().contains(&format!("f:{known}")));
}
