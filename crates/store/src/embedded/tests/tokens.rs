//! Tests of refreshes and renewals.

use std::{collections::HashSet, sync::Arc};

use auth_service_records::session::{Outcome, Refreshed, Renewed, SessionPolicy, Successor};
use auth_service_token::Id;
use tokio::task::JoinSet;

use super::scene::{POLICY, START, Scene, id, refreshed, renewed};

fn live(refresh_id: Id, spent_after: u64) -> Refreshed {
    let iat = START + spent_after;
    refreshed(60, Some(Successor { refresh_id, iat, exp: iat + 120 }))
}

#[tokio::test]
async fn a_refresh_without_rotation_extends_the_access_entry_alone() {
    let scene = Scene::new(POLICY);
    let sid = scene.sign_in().await;
    scene.at(100_000);
    assert_eq!(scene.refresh(sid, sid, None).await, refreshed(60, None));
    let [epochs, access, refresh] = scene.rows();
    let ends_after = |expiry: u64| (expiry - START * 1_000) / 1_000;
    assert_eq!((ends_after(access[0].1), ends_after(refresh[0].1), ends_after(epochs[0].1)), (160, 120, 160));
    assert_eq!(refresh[0].2["last_used_at"], START + 100);
    scene.at(121_000);
    assert_eq!(scene.refresh(sid, sid, None).await, Refreshed::Gone);
    assert!(scene.lives(sid));
    assert_eq!(scene.store.end_session(scene.tag, sid, None).await.unwrap(), Outcome::Done);
}

#[tokio::test]
async fn an_older_access_token_keeps_its_end() {
    let scene = Scene::new(SessionPolicy { max_age_seconds: Some(90), ..POLICY });
    let sid = scene.sign_in().await;
    scene.at(80_100);
    assert_eq!(scene.refresh(sid, sid, None).await, refreshed(10, None));
    let expiry = scene.rows()[1][0].1;
    assert_eq!(expiry, (START + 90) * 1_000, "the session's end");
    scene.at(20_000);
    assert_eq!(scene.renew(sid, sid).await, renewed(60));
    assert_eq!(scene.rows()[1][0].1, expiry);
}

#[tokio::test]
async fn a_spent_token_gives_its_successor_while_that_is_unused_or_for_the_grace() {
    let scene = Scene::new(POLICY);
    let (sid, second, third) = (scene.sign_in().await, id(), id());
    scene.at(1_000);
    assert_eq!(scene.refresh(sid, sid, Some(second)).await, live(second, 1));
    scene.at(50_000);
    assert_eq!(scene.refresh(sid, sid, Some(id())).await, live(second, 1), "unused, long after the grace");
    assert_eq!(scene.refresh(sid, second, Some(third)).await, live(third, 50));
    assert_eq!(scene.renew(sid, third).await, renewed(60));
    scene.at(59_000);
    assert_eq!(scene.refresh(sid, second, Some(id())).await, live(third, 50), "used, within the grace");
    scene.at(61_000);
    assert_eq!(scene.refresh(sid, second, Some(id())).await, Refreshed::Reused);
    assert_eq!(scene.row_counts(), [0, 0, 0]);
}

#[tokio::test]
async fn an_older_generation_ends_the_session_at_once() {
    let scene = Scene::new(POLICY);
    let (sid, other) = (scene.sign_in().await, scene.sign_in().await);
    let (second, third) = (id(), id());
    assert_eq!(scene.refresh(sid, sid, Some(second)).await, live(second, 0));
    assert_eq!(scene.refresh(sid, second, Some(third)).await, live(third, 0));
    assert_eq!(scene.refresh(sid, sid, Some(id())).await, Refreshed::Reused);
    assert!(!scene.lives(sid) && scene.lives(other));
    assert_eq!(scene.refresh(sid, third, Some(id())).await, Refreshed::Gone);
}

#[tokio::test]
async fn a_renewal_follows_the_rules_of_a_refresh() {
    let scene = Scene::new(POLICY);
    let (sid, second) = (scene.sign_in().await, id());
    scene.at(100_000);
    assert_eq!(scene.renew(sid, sid).await, renewed(20));
    let [_, access, refresh] = scene.rows();
    assert!(access[0].1 <= refresh[0].1, "no longer than the refresh token");
    assert_eq!(scene.refresh(sid, sid, Some(second)).await, live(second, 100));
    assert_eq!(scene.renew(sid, sid).await, renewed(60));
    scene.at(150_000);
    assert_eq!(scene.renew(sid, sid).await, renewed(60), "still unused");
    assert_eq!(scene.renew(sid, second).await, renewed(60));
    assert_eq!(scene.renew(sid, sid).await, Renewed::Reused);
    assert!(!scene.lives(sid));
    assert_eq!(scene.renew(sid, second).await, Renewed::Gone);
}

#[tokio::test]
async fn no_entry_outlives_the_longest_life_of_a_session() {
    let scene = Scene::new(SessionPolicy { max_age_seconds: Some(100), ..POLICY });
    let (sid, second) = (scene.sign_in().await, id());
    scene.at(50_100);
    let successor = Some(Successor { refresh_id: second, iat: START + 50, exp: START + 100 });
    assert_eq!(scene.refresh(sid, sid, Some(second)).await, refreshed(50, successor));
    assert!(scene.rows().iter().flatten().all(|(_, expiry, _)| *expiry == (START + 100) * 1_000));
    scene.at(99_100);
    assert!(matches!(scene.refresh(sid, second, Some(id())).await, Refreshed::Live { access_seconds: 1, .. }));
    scene.at(100_000);
    assert!(!scene.lives(sid));
    assert_eq!(scene.refresh(sid, second, Some(id())).await, Refreshed::Gone);
}

#[tokio::test]
async fn concurrent_refreshes_of_one_token_make_one_successor() {
    let scene = Scene::new(POLICY);
    let (sid, tag) = (scene.sign_in().await, scene.tag);
    let mut refreshes = JoinSet::new();
    for _ in 0..50 {
        let store = Arc::clone(&scene.store);
        refreshes.spawn(async move { store.refresh(tag, sid, sid, Some(id())).await });
    }
    let mut successors = HashSet::new();
    for refreshed in refreshes.join_all().await {
        match refreshed.unwrap() {
            Refreshed::Live { successor: Some(successor), .. } => successors.insert(successor.refresh_id),
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(successors.len(), 1);
}
