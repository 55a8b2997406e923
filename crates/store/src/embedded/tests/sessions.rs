//! Tests of sessions.

use auth_service_records::{
    session::{Outcome, Page, Refreshed, SessionPolicy},
    throttle::{Admission, FREE_FAILURES},
    user::User,
};
use auth_service_token::Id;

use super::scene::{POLICY, START, Scene, id, session, user};
use crate::change::Change;

#[tokio::test]
async fn a_session_opens_for_the_account_as_it_was_seen() {
    let scene = Scene::new(POLICY);
    let stored = scene.sign_up().await;
    let changed = User { password_hash: "another".to_owned(), ..user() };
    let (first, late) = (session(), session());
    assert!(scene.store.open_session(scene.tag, &stored, Some(&changed), &first, None).await.unwrap().is_some());
    assert_eq!(scene.store.open_session(scene.tag, &stored, None, &late, None).await.unwrap(), None);
    assert!(scene.lives(first.sid) && !scene.lives(late.sid));
    assert_eq!(scene.find().user.password_hash, "another");
    let access = scene.store.check_access(scene.tag, first.sid).unwrap().unwrap();
    assert_eq!((access.email, access.created_at), (user().email, user().created_at));
    assert!(scene.store.check_access(id(), first.sid).unwrap().is_none());
}

#[tokio::test]
async fn entries_end_with_their_tokens() {
    let scene = Scene::new(POLICY);
    let sid = scene.sign_in().await;
    let [epochs, access, refresh] = scene.rows();
    let lives = |expiry: u64| (expiry - START * 1_000) / 1_000;
    assert_eq!((lives(epochs[0].1), lives(access[0].1), lives(refresh[0].1)), (120, 60, 120));
    scene.at(59_000);
    assert!(scene.lives(sid));
    scene.at(61_000);
    assert!(!scene.lives(sid));
    assert!(matches!(scene.refresh(sid, sid, None).await, Refreshed::Live { .. }));
    assert!(scene.lives(sid));
    scene.at(125_000);
    assert!(!scene.lives(sid));
    assert_eq!(scene.refresh(sid, sid, None).await, Refreshed::Gone);
    assert_eq!(scene.store.remove_tokens(scene.tag, None).await.unwrap(), Outcome::NotThere);
}

#[tokio::test]
async fn removal_ends_every_token_by_one_row() {
    let scene = Scene::new(POLICY);
    let sids = [scene.sign_in().await, scene.sign_in().await];
    assert_eq!(scene.store.remove_tokens(scene.tag, Some(id())).await.unwrap(), Outcome::Refused);
    assert_eq!(scene.store.remove_tokens(scene.tag, Some(sids[0])).await.unwrap(), Outcome::Done);
    assert_eq!(scene.row_counts(), [0, 2, 2]);
    for sid in sids {
        assert!(!scene.lives(sid));
        assert_eq!(scene.refresh(sid, sid, None).await, Refreshed::Gone);
    }
    assert_eq!(scene.store.remove_tokens(scene.tag, None).await.unwrap(), Outcome::NotThere);
    let next = scene.sign_in().await;
    assert!(scene.lives(next) && !scene.lives(sids[0]));
    assert_eq!(scene.row_counts(), [1, 1, 1], "the next sign-in deletes the orphans");
}

#[tokio::test]
async fn the_oldest_session_gives_way_also_within_one_millisecond() {
    let scene = Scene::new(SessionPolicy { max_sessions: 3, ..POLICY });
    let stored = scene.sign_up().await;
    let sessions: Vec<_> = (0..8).map(|_| session()).collect();
    for session in &sessions {
        scene.at(0);
        assert!(scene.store.open_session(scene.tag, &stored, None, session, None).await.unwrap().is_some());
    }
    let newest: Vec<Id> = sessions.iter().rev().map(|session| session.sid).take(3).collect();
    assert_eq!(scene.listed(None, 10), newest);
    assert_eq!(scene.row_counts(), [1, 3, 3]);
}

#[tokio::test]
async fn a_session_with_its_access_entry_alone_keeps_its_place() {
    let scene = Scene::new(SessionPolicy { max_sessions: 3, ..POLICY });
    let first = scene.sign_in().await;
    scene.at(100_000);
    let second = scene.sign_in().await;
    assert!(matches!(scene.refresh(first, first, None).await, Refreshed::Live { .. }));
    scene.at(125_000);
    assert!(scene.lives(first), "a refresh does not cut the access token at the refresh token's end");
    let page = Page { after: None, limit: 10 };
    let listed = scene.store.list_sessions(scene.tag, Some(first), page).unwrap().unwrap();
    assert_eq!(listed.iter().map(|session| session.sid).collect::<Vec<_>>(), [second, first]);
    assert_eq!((listed[1].created_at, listed[1].last_used_at, listed[1].origin.ip.as_str()), (START, START, ""));
    let (third, fourth) = (scene.sign_in().await, scene.sign_in().await);
    assert_eq!([first, second, third, fourth].map(|sid| scene.lives(sid)), [false, true, true, true]);
}

#[tokio::test]
async fn a_list_has_pages() {
    let scene = Scene::new(POLICY);
    let mut sids = Vec::new();
    for second in 0..5 {
        scene.at(second * 1_000);
        sids.push(scene.sign_in().await);
    }
    sids.reverse();
    assert_eq!(scene.listed(None, 2), sids[..2]);
    assert_eq!(scene.listed(Some(sids[1]), 2), sids[2..4]);
    assert_eq!(scene.listed(Some(sids[3]), 2), sids[4..]);
    let page = Page { after: None, limit: 1 };
    assert!(scene.store.list_sessions(scene.tag, Some(id()), page).unwrap().is_none());
    let newest = scene.store.list_sessions(scene.tag, Some(sids[4]), page).unwrap().unwrap().remove(0);
    assert_eq!((newest.created_at, newest.last_used_at), (START + 4, START + 4));
    assert_eq!((newest.origin.ip.as_str(), newest.origin.user_agent.as_str()), ("192.0.2.1", "tests"));
}

#[tokio::test]
async fn the_epoch_ends_with_the_last_session() {
    let scene = Scene::new(POLICY);
    let first = scene.sign_in().await;
    scene.at(30_000);
    let second = scene.sign_in().await;
    let (store, tag) = (&scene.store, scene.tag);
    assert_eq!(store.end_session(tag, first, Some(id())).await.unwrap(), Outcome::Refused);
    assert_eq!(store.end_session(tag, id(), Some(first)).await.unwrap(), Outcome::NotThere);
    assert_eq!(store.end_session(tag, second, Some(first)).await.unwrap(), Outcome::Done);
    assert_eq!(scene.row_counts(), [1, 1, 1]);
    let [epochs, _, refresh] = scene.rows();
    assert_eq!(epochs[0].1, refresh[0].1, "no longer than what is left");
    assert_eq!(store.end_session(tag, first, None).await.unwrap(), Outcome::Done);
    assert_eq!(scene.row_counts(), [0, 0, 0]);
    assert_eq!(store.remove_tokens(tag, None).await.unwrap(), Outcome::NotThere);
}

#[tokio::test]
async fn ending_all_sessions_deletes_their_entries() {
    let scene = Scene::new(POLICY);
    let (first, second) = (scene.sign_in().await, scene.sign_in().await);
    assert_eq!(scene.store.end_sessions(scene.tag, id()).await.unwrap(), Outcome::Refused);
    assert_eq!(scene.store.end_sessions(scene.tag, first).await.unwrap(), Outcome::Done);
    assert!(!scene.lives(first) && !scene.lives(second));
    assert_eq!(scene.row_counts(), [0, 0, 0]);
}

#[tokio::test]
async fn the_session_that_is_kept_moves_to_the_new_epoch() {
    let scene = Scene::new(POLICY);
    let (kept, other, epoch) = (scene.sign_in().await, scene.sign_in().await, id());
    assert_eq!(scene.store.keep_only(scene.tag, id(), epoch, None).await.unwrap(), Outcome::Refused);
    assert_eq!(scene.store.keep_only(scene.tag, kept, epoch, None).await.unwrap(), Outcome::Done);
    assert!(scene.lives(kept) && !scene.lives(other));
    assert_eq!(scene.row_counts(), [1, 1, 1]);
    assert!(scene.rows().iter().flatten().all(|(.., json)| json["epoch"] == epoch.as_str()));
    assert!(matches!(scene.refresh(kept, kept, None).await, Refreshed::Live { .. }));
    assert_eq!(scene.refresh(other, other, None).await, Refreshed::Gone);
}

#[tokio::test]
async fn a_change_of_the_account_keeps_one_session_and_forgets_the_failures() {
    let scene = Scene::new(POLICY);
    let (kept, known, stored) = (scene.sign_in().await, id(), scene.find());
    for address in [None, Some(known)] {
        for _ in 0..=FREE_FAILURES {
            assert_eq!(scene.store.admit_guess(scene.tag, address), Admission::Admitted);
        }
    }
    let user = User { password_hash: "new".to_owned(), ..user() };
    let change = Some(Change { expected: &stored, user: &user, known: Some(known) });
    assert_eq!(scene.store.keep_only(scene.tag, kept, id(), change).await.unwrap(), Outcome::Done);
    assert_eq!(scene.find().user.password_hash, "new");
    for address in [None, Some(known)] {
        assert_eq!(scene.store.admit_guess(scene.tag, address), Admission::Admitted);
    }
    assert_eq!(scene.store.keep_only(scene.tag, kept, id(), change).await.unwrap(), Outcome::NotThere);
    assert!(scene.lives(kept));
}
