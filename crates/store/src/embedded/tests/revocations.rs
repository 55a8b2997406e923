//! Tests of the feed of revocations.

use auth_service_records::session::{Outcome, Refreshed, SessionPolicy, eid};

use super::scene::{POLICY, Scene, id};

#[tokio::test]
async fn every_ending_is_in_the_feed() {
    let scene = Scene::new(SessionPolicy { max_sessions: 2, rotation: true, grace_seconds: 0, ..POLICY });
    let (store, tag) = (&scene.store, scene.tag);
    let mut expected: Vec<String> = Vec::new();
    let [first, second] = [scene.sign_in().await, scene.sign_in().await];
    scene.sign_in().await;
    expected.push(first.to_string());
    assert_eq!(scene.revoked(), expected, "the limit");
    assert_eq!(store.end_session(tag, second, None).await.unwrap(), Outcome::Done);
    expected.push(second.to_string());
    let reused = scene.sign_in().await;
    assert_eq!(scene.refresh(reused, id(), Some(id())).await, Refreshed::Reused);
    expected.push(reused.to_string());
    assert_eq!(scene.revoked(), expected, "the end of sessions");
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
    let stored = scene.find();
    assert_eq!(store.replace_user(tag, &stored, &stored.user, None).await.unwrap(), Outcome::Done);
    scene.sign_in().await;
    expected.push(eid(scene.epoch().unwrap()).to_string());
    assert_eq!(store.delete_user(tag, &scene.find(), None).await.unwrap(), Outcome::Done);
    assert_eq!(scene.revoked(), expected);
}
