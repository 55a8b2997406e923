//! Values of a later version, fields that this version does not know, and unreadable values.

use auth_service_records::{
    error::{Error, Outage},
    session::Page,
    user::User,
};
use auth_service_store::Change;
use auth_service_token::Id;
use serde_json::Value;

use crate::scene::{POLICY, Scene, id, session, user};

const PAGE: Page = Page { after: None, limit: 10 };

/// Runs each operation that reads an entry, and passes its name and its error to `note`.
async fn try_all(scene: &Scene, sid: Id, note: impl Fn(&str, Option<Error>)) {
    let (store, tag) = (&scene.store, scene.tag);
    note("check", store.check_access(tag, sid).await.err());
    note("refresh", store.refresh(tag, sid, sid, Some(id())).await.err());
    note("renew", store.renew(tag, sid, sid).await.err());
    note("list", store.list_sessions(tag, Some(sid), PAGE).await.err());
    note("end one", store.end_session(tag, sid, Some(sid)).await.err());
    note("keep", store.keep_only(tag, sid, id(), None).await.err());
    note("end all", store.end_sessions(tag, sid).await.err());
    note("remove", store.remove_tokens(tag, Some(sid)).await.err());
    match store.find_user(tag).await {
        Err(error) => note("find", Some(error)),
        Ok(None) => {}
        Ok(Some(stored)) => {
            note("open", store.open_session(tag, &stored, None, &session(), None).await.err());
            let change = Some(Change { expected: &stored, user: &user(), known: None });
            note("change", store.keep_only(tag, sid, id(), change).await.err());
            note("delete", store.delete_user(tag, &stored, Some(sid)).await.err());
        }
    }
}

#[tokio::test]
async fn a_value_of_a_later_version_is_an_outage_and_is_not_overwritten() {
    type Key = fn(&Scene, Id) -> String;
    let kinds: [(Key, &[&str]); 4] = [
        (|scene, _| scene.key("u"), &["find"]),
        (
            |scene, _| scene.key("e"),
            &["check", "refresh", "renew", "list", "end one", "keep", "end all", "remove", "open", "change", "delete"],
        ),
        (Scene::access, &["check", "list", "end one", "keep", "end all", "remove", "change", "delete"]),
        (Scene::refresh_key, &["refresh", "renew", "list", "end one", "keep"]),
    ];
    for (key, wanted) in kinds {
        let scene = Scene::new(POLICY).await;
        let sid = scene.sign_in().await;
        let key = key(&scene, sid);
        if key == scene.refresh_key(sid) {
            let _: u8 = scene.redis(&["HSET", &key, "v", "2", "id", "of another form"]);
        } else {
            let () = scene.redis(&["SET", &key, r#"{"v":3,"epoch":{"of":"another form"}}"#, "KEEPTTL"]);
        }
        let before: Vec<u8> = scene.redis(&["DUMP", &key]);
        try_all(&scene, sid, |name, error| {
            let is_newer = matches!(error, Some(Error::Unavailable(Outage::NewerVersion)));
            if wanted.contains(&name) {
                assert!(is_newer, "{name} on {key}: {error:?}");
                assert_eq!(scene.redis::<Option<Vec<u8>>>(&["DUMP", &key]).as_ref(), Some(&before), "{name} on {key}");
            } else {
                assert!(error.is_none(), "{name} on {key}: {error:?}");
            }
        })
        .await;
    }
}

#[tokio::test]
async fn fields_that_this_version_does_not_know_survive() {
    let scene = Scene::new(POLICY).await;
    let (sid, unknown) = (scene.sign_in().await, r#","list":[],"number":18446744073709551615,"nothing":null}"#);
    let keys = [scene.key("u"), scene.key("e"), scene.access(sid)];
    for key in &keys {
        let value: String = scene.redis(&["GET", key]);
        let known = value.strip_suffix('}').unwrap();
        let () = scene.redis(&["SET", key, &format!("{known}{unknown}"), "KEEPTTL"]);
    }
    let _: u8 = scene.redis(&["HSET", &scene.refresh_key(sid), "device", "7"]);
    let next = id();
    scene.refresh(sid, sid, Some(next)).await;
    scene.store.renew(scene.tag, sid, next).await.unwrap();
    scene.sign_in().await;
    let stored = scene.find().await;
    let change = Change { expected: &stored, user: &User { password_hash: "new".to_owned(), ..user() }, known: None };
    scene.store.keep_only(scene.tag, sid, id(), Some(change)).await.unwrap();
    assert!(scene.lives(sid).await);
    for key in &keys {
        let value: String = scene.redis(&["GET", key]);
        let json: Value = serde_json::from_str(&value).unwrap();
        assert_eq!((&json["list"], &json["number"]), (&serde_json::json!([]), &u64::MAX.into()), "{value}");
        assert!(json.as_object().unwrap().contains_key("nothing"), "{value}");
    }
    assert_eq!(scene.redis::<u8>(&["HGET", &scene.refresh_key(sid), "device"]), 7);
}

#[tokio::test]
async fn a_value_that_cannot_be_read_is_an_internal_error() {
    for value in ["nonsense", "[]", "{}", "7", r#"{"v":1}"#, r#"{"v":1,"epoch":7}"#, r#"{"v":"1","epoch":"x"}"#] {
        for kind in ["e", "a"] {
            let scene = Scene::new(POLICY).await;
            let sid = scene.sign_in().await;
            let key = if kind == "e" { scene.key("e") } else { scene.access(sid) };
            let () = scene.redis(&["SET", &key, value]);
            try_all(&scene, sid, |name, error| {
                let is_read = kind == "e" || !["refresh", "renew", "open"].contains(&name);
                match error {
                    Some(Error::Internal(text)) if is_read => assert!(!text.contains("script"), "{text}"),
                    None if !is_read => {}
                    other => panic!("{name} on {value} in {kind}: {other:?}"),
                }
            })
            .await;
        }
    }
}
