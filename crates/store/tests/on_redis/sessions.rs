//! Tests of sessions.

use auth_service_records::{
    session::{Outcome, Page, Refreshed, SessionPolicy},
    throttle::{Admission, FREE_FAILURES},
    user::User,
};
use auth_service_store::Change;
use auth_service_token::Id;

use crate::scene::{EMAIL, POLICY, Scene, id, known_address, session, user};

#[tokio::test]
async fn a_session_opens_for_the_account_as_it_was_seen() {
    let scene = Scene::new(POLICY).await;
    let (store, tag, stored) = (&scene.store, scene.tag, scene.find().await);
    let changed = User { password_hash: "another".to_owned(), ..user() };
    let (first, late) = (session(), session());
    assert!(store.open_session(tag, &stored, Some(&changed), &first, None).await.unwrap().is_some());
    assert_eq!(store.open_session(tag, &stored, None, &late, None).await.unwrap(), None);
    assert!(scene.lives(first.sid).await && !scene.lives(late.sid).await);
    assert_eq!(scene.find().await.user.password_hash, "another");
    let access = store.check_access(tag, first.sid).await.unwrap().unwrap();
    assert_eq!((access.email.as_str(), access.created_at), (EMAIL, user().created_at));
    assert!(store.check_access(id(), first.sid).await.unwrap().is_none());
}

#[tokio::test]
async fn keys_live_as_long_as_their_tokens() {
    let scene = Scene::new(POLICY).await;
    let sid = scene.sign_in().await;
    assert_eq!(scene.ttl(&scene.access(sid)), 60);
    for key in [scene.refresh_key(sid), scene.key("e"), scene.key("s")] {
        assert_eq!(scene.ttl(&key), 120, "{key}");
    }
    assert_eq!(scene.redis::<String>(&["OBJECT", "ENCODING", &scene.refresh_key(sid)]), "listpack");
    let scene = Scene::new(SessionPolicy { max_age_seconds: Some(30), ..POLICY }).await;
    let sid = scene.sign_in().await;
    for key in [scene.access(sid), scene.refresh_key(sid), scene.key("e"), scene.key("s")] {
        assert_eq!(scene.ttl(&key), 30, "{key}");
    }
}

#[tokio::test]
async fn removal_deletes_one_key_and_the_next_sign_in_the_orphans() {
    let scene = Scene::new(POLICY).await;
    let (store, tag) = (&scene.store, scene.tag);
    let sids = [scene.sign_in().await, scene.sign_in().await];
    assert_eq!(store.remove_tokens(tag, Some(id())).await.unwrap(), Outcome::Refused);
    let before = scene.kinds().len();
    assert_eq!(store.remove_tokens(tag, Some(sids[0])).await.unwrap(), Outcome::Done);
    assert_eq!(scene.kinds().len(), before - 1);
    for sid in sids {
        assert!(!scene.lives(sid).await);
        assert_eq!(scene.refresh(sid, sid, None).await, Refreshed::Gone);
    }
    assert_eq!(scene.listed(None, 10).await, []);
    assert_eq!(store.remove_tokens(tag, None).await.unwrap(), Outcome::NotThere);
    let next = scene.sign_in().await;
    assert!(scene.lives(next).await && !scene.lives(sids[0]).await);
    assert_eq!(
        scene.kinds(),
        [format!("a:{next}"), "e".to_owned(), format!("r:{next}"), "s".to_owned(), "u".to_owned()]
    );
}

#[tokio::test]
async fn ended_sessions_are_dropped_before_the_oldest_live_session() {
    let scene = Scene::new(SessionPolicy { max_sessions: 3, ..POLICY }).await;
    let [first, second, third] = [scene.sign_in().await, scene.sign_in().await, scene.sign_in().await];
    // The second session has ended, and the first session is alive.
    let _: u8 = scene.redis(&["DEL", &scene.access(second), &scene.refresh_key(second)]);
    let fourth = scene.sign_in().await;
    assert_eq!(scene.listed(None, 10).await, [fourth, third, first]);
    let fifth = scene.sign_in().await;
    assert_eq!(scene.listed(None, 10).await, [fifth, fourth, third]);
    assert!(!scene.lives(first).await);
    assert_eq!(scene.kinds().len(), 3 + 2 * 3);
    assert_eq!(scene.redis::<u8>(&["ZCARD", &scene.key("s")]), 3);
}

#[tokio::test]
async fn a_session_with_only_an_access_entry_is_listed() {
    let scene = Scene::new(POLICY).await;
    let (first, second) = (scene.sign_in().await, scene.sign_in().await);
    let _: u8 = scene.redis(&["DEL", &scene.refresh_key(first)]);
    let page = Page { after: None, limit: 10 };
    let listed = scene.store.list_sessions(scene.tag, Some(first), page).await.unwrap().unwrap();
    assert_eq!(listed.iter().map(|session| session.sid).collect::<Vec<_>>(), [second, first]);
    assert_eq!((listed[1].origin.ip.as_str(), listed[1].origin.user_agent.as_str()), ("", ""));
    assert_eq!((listed[0].origin.ip.as_str(), listed[0].origin.user_agent.as_str()), ("192.0.2.1", "curl/8.5.0"));
    for session in &listed {
        assert!(session.created_at.abs_diff(scene.clock.now_seconds()) < 5, "{session:?}");
        assert!(session.last_used_at.abs_diff(scene.clock.now_seconds()) < 5, "{session:?}");
    }
}

#[tokio::test]
async fn a_list_has_pages() {
    let scene = Scene::new(POLICY).await;
    let mut sids = Vec::new();
    for _ in 0..70 {
        sids.push(scene.sign_in().await);
    }
    sids.reverse();
    assert_eq!(scene.listed(None, 100).await, sids);
    let _: u8 = scene.redis(&["DEL", &scene.access(sids[1]), &scene.refresh_key(sids[1])]);
    assert_eq!(scene.listed(None, 2).await, [sids[0], sids[2]]);
    assert_eq!(scene.listed(Some(sids[2]), 2).await, sids[3..5]);
    assert_eq!(scene.listed(Some(sids[68]), 2).await, sids[69..]);
    assert_eq!(scene.listed(None, 0).await, []);
    let page = Page { after: None, limit: 1 };
    assert!(scene.store.list_sessions(scene.tag, Some(id()), page).await.unwrap().is_none());
}

#[tokio::test]
async fn the_epoch_lives_no_longer_than_the_sessions_that_are_left() {
    let scene = Scene::new(POLICY).await;
    let (store, tag) = (&scene.store, scene.tag);
    let (first, second) = (scene.sign_in().await, scene.sign_in().await);
    scene.expire(&scene.refresh_key(first), 80);
    assert_eq!(store.end_session(tag, first, Some(id())).await.unwrap(), Outcome::Refused);
    assert_eq!(store.end_session(tag, id(), Some(first)).await.unwrap(), Outcome::NotThere);
    assert_eq!(store.end_session(tag, second, Some(first)).await.unwrap(), Outcome::Done);
    assert!(scene.lives(first).await && !scene.lives(second).await);
    for key in ["e", "s"] {
        assert_eq!(scene.ttl(&scene.key(key)), 80);
    }
    assert_eq!(store.end_session(tag, second, None).await.unwrap(), Outcome::NotThere);
    assert_eq!(store.end_session(tag, first, None).await.unwrap(), Outcome::Done);
    assert_eq!(scene.kinds(), ["u"]);
    assert_eq!(store.remove_tokens(tag, None).await.unwrap(), Outcome::NotThere);
}

#[tokio::test]
async fn ending_all_sessions_deletes_their_entries() {
    let scene = Scene::new(POLICY).await;
    let (first, _) = (scene.sign_in().await, scene.sign_in().await);
    assert_eq!(scene.store.end_sessions(scene.tag, id()).await.unwrap(), Outcome::Refused);
    assert_eq!(scene.store.end_sessions(scene.tag, first).await.unwrap(), Outcome::Done);
    assert_eq!(scene.kinds(), ["u"]);
}

#[tokio::test]
async fn the_session_that_is_kept_moves_to_the_new_epoch() {
    let scene = Scene::new(POLICY).await;
    let (store, tag) = (&scene.store, scene.tag);
    let (kept, other) = (scene.sign_in().await, scene.sign_in().await);
    scene.expire(&scene.refresh_key(kept), 80);
    assert_eq!(store.keep_only(tag, id(), id(), None).await.unwrap(), Outcome::Refused);
    assert_eq!(store.keep_only(tag, kept, id(), None).await.unwrap(), Outcome::Done);
    assert!(scene.lives(kept).await && !scene.lives(other).await);
    assert_eq!(scene.kinds().len(), 5);
    for (key, ttl) in
        [(scene.access(kept), 60), (scene.refresh_key(kept), 80), (scene.key("e"), 80), (scene.key("s"), 80)]
    {
        assert_eq!(scene.ttl(&key), ttl, "{key}");
    }
    assert!(matches!(scene.refresh(kept, kept, None).await, Refreshed::Live { .. }));
    assert_eq!(scene.refresh(other, other, None).await, Refreshed::Gone);
}

#[tokio::test]
async fn a_change_of_the_account_keeps_one_session_and_forgets_the_failures() {
    let scene = Scene::new(POLICY).await;
    let (store, tag, known) = (&scene.store, scene.tag, Some(known_address()));
    let (kept, stored) = (scene.sign_in().await, scene.find().await);
    for address in [None, known] {
        for _ in 0..=FREE_FAILURES {
            assert_eq!(store.admit_guess(tag, address).await.unwrap(), Admission::Admitted);
        }
        assert_eq!(store.admit_guess(tag, address).await.unwrap(), Admission::Wait(1));
    }
    let user = User { password_hash: "new".to_owned(), ..user() };
    let change = Some(Change { expected: &stored, user: &user, known });
    assert_eq!(store.keep_only(tag, kept, id(), change).await.unwrap(), Outcome::Done);
    assert_eq!(scene.find().await.user.password_hash, "new");
    for address in [None, known] {
        assert_eq!(store.admit_guess(tag, address).await.unwrap(), Admission::Admitted);
    }
    assert_eq!(store.keep_only(tag, kept, id(), change).await.unwrap(), Outcome::NotThere);
    assert!(scene.lives(kept).await);
}

#[tokio::test]
async fn a_sign_in_forgets_the_failures_of_its_address() {
    let scene = Scene::new(POLICY).await;
    let (store, tag, known) = (&scene.store, scene.tag, Some(known_address()));
    let other: Id = id();
    for address in [None, known, Some(other)] {
        store.admit_guess(tag, address).await.unwrap();
    }
    assert!(store.open_session(tag, &scene.find().await, None, &session(), known).await.unwrap().is_some());
    let failures: Vec<_> = scene.kinds().into_iter().filter(|kind| kind.starts_with('f')).collect();
    assert_eq!(failures, [format!("f:{other}")]);
}
