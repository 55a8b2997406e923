//! Tests of values that a later version wrote.

use auth_service_records::{
    error::{Error, Outage},
    session::{Outcome, Page, Refreshed, Renewed},
    user::User,
};
use auth_service_token::Id;
use serde_json::json;

use super::scene::{POLICY, Scene, id, session, user};
use crate::change::Change;

fn is_newer<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Unavailable(Outage::NewerVersion)))
}

#[tokio::test]
async fn unknown_fields_survive_every_write() {
    let scene = Scene::new(POLICY);
    let (sid, stored, next) = (scene.sign_in().await, scene.find(), id());
    let unknown = json!({"large": u64::MAX, "null": null, "list": []});
    let added = unknown.clone();
    scene.edit(move |entry| entry["from_later"] = added.clone()).await;
    scene.at(1_000);
    assert!(matches!(scene.refresh(sid, sid, Some(next)).await, Refreshed::Live { .. }));
    assert!(matches!(scene.store.renew(scene.tag, sid, next).await, Ok(Renewed::Live { .. })));
    let change = Some(Change { expected: &stored, user: &user(), known: None });
    assert_eq!(scene.store.keep_only(scene.tag, sid, id(), change).await.unwrap(), Outcome::Done);
    for (key, _, json) in scene.rows().iter().flatten() {
        assert_eq!((&json["from_later"], &json["v"]), (&unknown, &json!(1)), "{key}");
    }
    scene.sign_in().await;
    assert_eq!(scene.rows()[0][0].2["from_later"], unknown);
}

#[tokio::test]
async fn an_entry_of_a_later_version_is_an_outage_and_stays() {
    let scene = Scene::new(POLICY);
    let (sid, stored) = (scene.sign_in().await, scene.find());
    scene.edit(|entry| *entry = json!({"v": 2, "epoch": 7})).await;
    let before = scene.rows();
    let (store, tag) = (&scene.store, scene.tag);
    assert!(is_newer(&store.check_access(tag, sid)));
    assert!(is_newer(&store.refresh(tag, sid, sid, None).await));
    assert!(is_newer(&store.renew(tag, sid, sid).await));
    assert!(is_newer(&store.list_sessions(tag, None, Page { after: None, limit: 10 })));
    assert!(is_newer(&store.end_session(tag, sid, None).await));
    assert!(is_newer(&store.end_sessions(tag, sid).await));
    assert!(is_newer(&store.keep_only(tag, sid, id(), None).await));
    assert!(is_newer(&store.open_session(tag, &stored, None, &session(), None).await));
    assert_eq!(scene.rows(), before);
    assert!(store.ready().is_ok(), "the disk has not failed");
    assert_eq!(store.remove_tokens(tag, None).await.unwrap(), Outcome::Done, "removal needs no value");
}

#[tokio::test]
async fn a_refresh_entry_of_a_later_version_is_an_outage_for_what_needs_it() {
    let scene = Scene::new(POLICY);
    let (sid, stored) = (scene.sign_in().await, scene.find());
    let edit = |entry: &mut serde_json::Value| {
        if entry.get("last_used_at").is_some() {
            entry["v"] = json!(2);
        }
    };
    scene.edit(edit).await;
    let before = scene.rows();
    let (store, tag) = (&scene.store, scene.tag);
    assert!(scene.lives(sid));
    assert!(is_newer(&store.refresh(tag, sid, sid, Some(id())).await));
    assert!(is_newer(&store.end_session(tag, sid, None).await));
    let user = User { password_hash: "new".to_owned(), ..user() };
    let change = Some(Change { expected: &stored, user: &user, known: None });
    assert!(is_newer(&store.keep_only(tag, sid, id(), change).await));
    assert!(is_newer(&store.open_session(tag, &stored, Some(&user), &session(), None).await));
    assert_eq!(scene.rows(), before);
    assert_eq!(scene.find().user.password_hash, stored.user.password_hash, "nothing is half done");
}

#[tokio::test]
async fn a_record_of_a_later_version_is_an_outage() {
    let scene = Scene::new(POLICY);
    let tag: Id = scene.tag;
    scene.store.write(move |tables, _| tables.put_user(tag, br#"{"v":3}"#)).await.unwrap();
    assert!(is_newer(&scene.store.find_user(tag)));
    assert!(!scene.store.create_user(tag, &user()).await.unwrap());
}
