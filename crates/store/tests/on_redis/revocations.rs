//! Tests of the feed of revocations.

use auth_service_records::{
    error::Error,
    session::{Outcome, Refreshed, SessionPolicy, eid},
};

use crate::scene::{POLICY, Scene, id};

#[tokio::test]
async fn every_ending_is_in_the_feed() {
    let scene = Scene::new(SessionPolicy { max_sessions: 2, rotation: true, grace_seconds: 0, ..POLICY }).await;
    let (store, tag) = (&scene.store, scene.tag);
    let mut expected: Vec<String> = Vec::new();
    let [first, second] = [scene.sign_in().await, scene.sign_in().await];
    scene.sign_in().await;
    expected.push(first.to_string());
    assert_eq!(scene.revoked().await, expected, "the limit");
    assert_eq!(store.end_session(tag, second, None).await.unwrap(), Outcome::Done);
    expected.push(second.to_string());
    let reused = scene.sign_in().await;
    assert_eq!(scene.refresh(reused, id(), Some(id())).await, Refreshed::Reused);
    expected.push(reused.to_string());
    assert_eq!(scene.revoked().await, expected, "the end of sessions");
    let kept = scene.sign_in().await;
    expected.push(eid(scene.epoch().unwrap()).to_string());
    assert_eq!(store.keep_only(tag, kept, id(), None).await.unwrap(), Outcome::Done);
    expected.push(eid(scene.epoch().unwrap()).to_string());
    assert_eq!(store.remove_tokens(tag, Some(kept)).await.unwrap(), Outcome::Done);
    assert_eq!(store.remove_tokens(tag, None).await.unwrap(), Outcome::NotThere);
    let last = scene.sign_in().await;
    expected.push(eid(scene.epoch().unwrap()).to_string());
    assert_eq!(store.end_sessions(tag, last).await.unwrap(), Outcome::Done);
    scene.sign_in().await;
    expected.push(eid(scene.epoch().unwrap()).to_string());
    let stored = scene.find().await;
    assert_eq!(store.replace_user(tag, &stored, &stored.user, None).await.unwrap(), Outcome::Done);
    scene.sign_in().await;
    expected.push(eid(scene.epoch().unwrap()).to_string());
    assert_eq!(store.delete_user(tag, &scene.find().await, None).await.unwrap(), Outcome::Done);
    assert_eq!(scene.revoked().await, expected);
}

#[tokio::test]
async fn nothing_ends_if_it_cannot_be_published() {
    let scene = Scene::new(POLICY).await;
    let sid = scene.sign_in().await;
    let _: String = scene.redis(&["SET", "as:revocations", "foreign"]);
    assert!(matches!(scene.store.remove_tokens(scene.tag, None).await, Err(Error::Internal(_))));
    assert!(matches!(scene.store.end_session(scene.tag, sid, None).await, Err(Error::Internal(_))));
    assert!(scene.lives(sid).await);
    let _: u8 = scene.redis(&["DEL", "as:revocations"]);
    assert_eq!(scene.store.remove_tokens(scene.tag, None).await.unwrap(), Outcome::Done);
    assert!(!scene.lives(sid).await);
}

#[tokio::test]
async fn a_new_entry_removes_those_that_no_token_needs() {
    let scene = Scene::new(POLICY).await;
    let _: String = scene.redis(&["XADD", "as:revocations", "1-1", "id", "old"]);
    scene.store.publish(&["new"]).await.unwrap();
    assert_eq!(scene.revoked().await, ["new"]);
    let _: String = scene.redis(&["XADD", "as:revocations", "*", "id", "a", "id", "b"]);
    assert_eq!(scene.revoked().await, ["new", "a", "b"]);
}
