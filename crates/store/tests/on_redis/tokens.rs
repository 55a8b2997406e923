//! Tests of refreshes and renewals.

use std::{collections::HashSet, sync::Arc};

use auth_service_records::session::{Outcome, Refreshed, Renewed, SessionPolicy, Successor};
use auth_service_token::Id;
use tokio::task::JoinSet;

use crate::scene::{POLICY, Scene, id, refreshed, renewed};

/// The successor that a refresh returns.
fn successor(refreshed: Refreshed) -> Successor {
    match refreshed {
        Refreshed::Live { access_seconds: 60, successor: Some(successor), .. } => successor,
        other => panic!("{other:?}"),
    }
}

impl Scene {
    /// Acts as if the current refresh token had been issued `seconds` ago.
    fn spent_before(&self, sid: Id, seconds: u64) {
        let then = (self.clock.now_seconds() - seconds).to_string();
        let _: u8 = self.redis(&["HSET", &self.refresh_key(sid), "spent_at", &then]);
    }
}

#[tokio::test]
async fn a_refresh_renews_the_access_entry_and_extends_the_epoch() {
    let scene = Scene::new(POLICY).await;
    let sid = scene.sign_in().await;
    // As if a hundred seconds had passed.
    let _: u8 = scene.redis(&["DEL", &scene.access(sid)]);
    for key in [scene.refresh_key(sid), scene.key("e"), scene.key("s")] {
        scene.expire(&key, 20);
    }
    assert_eq!(scene.refresh(sid, sid, None).await, refreshed(60, None));
    assert!(scene.lives(sid).await);
    assert_eq!(scene.ttl(&scene.refresh_key(sid)), 20);
    for key in [scene.access(sid), scene.key("e"), scene.key("s")] {
        assert_eq!(scene.ttl(&key), 60, "{key}");
    }
    scene.expire(&scene.access(sid), 90);
    assert_eq!(scene.refresh(sid, sid, None).await, refreshed(60, None));
    assert_eq!(scene.ttl(&scene.access(sid)), 90, "an older access token keeps its lifetime");
    assert_eq!(scene.refresh(id(), sid, None).await, Refreshed::Gone);
    assert_eq!(scene.refresh(sid, id(), None).await, Refreshed::Reused);
    assert_eq!(scene.kinds(), ["u"]);
}

#[tokio::test]
async fn no_token_outlives_the_longest_life_of_the_session() {
    let scene = Scene::new(SessionPolicy { max_age_seconds: Some(40), ..POLICY }).await;
    let sid = scene.sign_in().await;
    let now = scene.clock.now_seconds();
    match scene.refresh(sid, sid, Some(id())).await {
        Refreshed::Live { access_seconds: 39..=40, successor: Some(Successor { exp, .. }), .. } => {
            assert!((now + 39..=now + 41).contains(&exp), "{exp}");
        }
        other => panic!("{other:?}"),
    }
    let _: u8 = scene.redis(&["HSET", &scene.refresh_key(sid), "ends_at", &now.to_string()]);
    assert_eq!(scene.refresh(sid, sid, None).await, Refreshed::Gone);
    assert_eq!(scene.renew(sid, sid).await, Renewed::Gone);
}

#[tokio::test]
async fn a_spent_token_gives_the_same_successor_within_the_grace() {
    let scene = Scene::new(POLICY).await;
    let (sid, next) = (scene.sign_in().await, id());
    scene.expire(&scene.refresh_key(sid), 20);
    let first = successor(scene.refresh(sid, sid, Some(next)).await);
    assert_eq!((first.refresh_id, first.exp), (next, first.iat + 120));
    assert!(first.iat.abs_diff(scene.clock.now_seconds()) < 5);
    assert_eq!(scene.ttl(&scene.refresh_key(sid)), 120);
    scene.expire(&scene.refresh_key(sid), 100);
    // A refresh uses the successor.
    assert_eq!(scene.refresh(sid, next, None).await, refreshed(60, None));
    assert_eq!(successor(scene.refresh(sid, sid, Some(id())).await), first);
    assert_eq!(scene.ttl(&scene.refresh_key(sid)), 100, "a repeated successor keeps its expiry");
    scene.spent_before(sid, 11);
    assert_eq!(scene.refresh(sid, sid, Some(id())).await, Refreshed::Reused);
    assert_eq!(scene.kinds(), ["u"]);
}

#[tokio::test]
async fn a_spent_token_gives_its_successor_until_that_is_used() {
    let scene = Scene::new(POLICY).await;
    let (sid, next, last) = (scene.sign_in().await, id(), id());
    scene.refresh(sid, sid, Some(next)).await;
    scene.spent_before(sid, 100);
    assert_eq!(successor(scene.refresh(sid, sid, Some(id())).await).refresh_id, next);
    assert_eq!(scene.renew(sid, sid).await, renewed(60));
    // After a second rotation, the first token is two generations old.
    scene.refresh(sid, next, Some(last)).await;
    scene.spent_before(sid, 100);
    assert_eq!(successor(scene.refresh(sid, next, Some(id())).await).refresh_id, last);
    assert_eq!(scene.refresh(sid, sid, Some(id())).await, Refreshed::Reused);
    assert_eq!(scene.refresh(sid, last, Some(id())).await, Refreshed::Gone);
}

#[tokio::test]
async fn a_renewal_needs_the_current_refresh_token_and_does_not_outlive_it() {
    let scene = Scene::new(POLICY).await;
    let (store, tag) = (&scene.store, scene.tag);
    let (sid, next) = (scene.sign_in().await, id());
    let _: u8 = scene.redis(&["DEL", &scene.access(sid)]);
    assert_eq!(scene.renew(sid, sid).await, renewed(60));
    assert_eq!(scene.ttl(&scene.access(sid)), 60);
    scene.refresh(sid, sid, Some(next)).await;
    scene.expire(&scene.refresh_key(sid), 30);
    let cut = scene.renew(sid, next).await;
    assert!(matches!(cut, Renewed::Live { access_seconds: 29..=30, .. }), "{cut:?}");
    scene.spent_before(sid, 11);
    assert_eq!(scene.renew(sid, sid).await, Renewed::Reused);
    assert_eq!(scene.renew(sid, next).await, Renewed::Gone);
    assert_eq!(store.remove_tokens(tag, None).await.unwrap(), Outcome::NotThere);
}

#[tokio::test]
async fn a_reused_token_ends_only_its_session() {
    let scene = Scene::new(POLICY).await;
    let (sid, other) = (scene.sign_in().await, scene.sign_in().await);
    assert_eq!(scene.refresh(sid, id(), Some(id())).await, Refreshed::Reused);
    assert!(!scene.lives(sid).await && scene.lives(other).await);
    assert_eq!(scene.listed(None, 10).await, [other]);
}

#[tokio::test]
async fn fifty_refreshes_at_once_have_one_successor() {
    let scene = Arc::new(Scene::new(POLICY).await);
    let sid = scene.sign_in().await;
    let mut refreshes = JoinSet::new();
    for _ in 0..50 {
        let scene = Arc::clone(&scene);
        refreshes.spawn(async move { successor(scene.refresh(sid, sid, Some(id())).await) });
    }
    let successors: Vec<_> = refreshes.join_all().await;
    let ids: HashSet<_> = successors.iter().map(|successor| successor.refresh_id).collect();
    assert_eq!(ids.len(), 1);
    assert!(successors.iter().all(|successor| *successor == successors[0]));
}
