//! Tests of the limits.

use std::sync::Arc;

use auth_service_records::throttle::{Admission, Counter, FORGET_SECONDS, Limit, MOST_FAILURES, wait_seconds};
use tokio::task::JoinSet;

use crate::scene::{POLICY, Scene, id, known_address};

#[tokio::test]
async fn each_failure_brings_the_wait_of_the_rule() {
    let scene = Scene::new(POLICY).await;
    for (known, key) in [(None, scene.key("f")), (Some(known_address()), scene.key(&format!("f:{}", known_address())))]
    {
        for failures in 1..=MOST_FAILURES {
            assert_eq!(scene.store.admit_guess(scene.tag, known).await.unwrap(), Admission::Admitted);
            let ttl = scene.ttl(&key).unsigned_abs();
            assert_eq!(ttl, FORGET_SECONDS);
            let admission = scene.store.admit_guess(scene.tag, known).await.unwrap();
            match wait_seconds(failures) {
                0 => {
                    assert_eq!(admission, Admission::Admitted);
                    scene.store.withdraw_guess(scene.tag, known).await.unwrap();
                }
                seconds => assert_eq!(admission, Admission::Wait(seconds), "after {failures} failures"),
            }
            // As if the wait were over.
            let _: i64 = scene.redis(&["HDEL", &key, "until"]);
        }
        assert_eq!(scene.redis::<u32>(&["HGET", &key, "n"]), MOST_FAILURES);
    }
}

#[tokio::test]
async fn simultaneous_guesses_are_each_counted() {
    let scene = Arc::new(Scene::new(POLICY).await);
    let mut guesses = JoinSet::new();
    for _ in 0..50 {
        let scene = Arc::clone(&scene);
        guesses.spawn(async move { scene.store.admit_guess(scene.tag, None).await.unwrap() });
    }
    let admitted = guesses.join_all().await.into_iter().filter(|guess| *guess == Admission::Admitted).count();
    let (store, tag) = (&scene.store, scene.tag);
    assert_eq!(admitted, 5);
    store.withdraw_guess(tag, None).await.unwrap();
    assert_eq!(store.admit_guess(tag, None).await.unwrap(), Admission::Admitted);
    for _ in 0..6 {
        store.withdraw_guess(tag, None).await.unwrap();
    }
    assert_eq!(scene.kinds(), ["u"]);
}

#[tokio::test]
async fn calls_beyond_the_limit_are_not_counted() {
    let scene = Scene::new(POLICY).await;
    let (store, address, limit) = (&scene.store, id(), Limit { count: 2, seconds: 100 });
    let key = format!("as:{{{address}}}:n:s");
    for _ in 0..2 {
        assert_eq!(store.count_call(Counter::SignUps, address, limit).await.unwrap(), None);
    }
    scene.expire(&key, 50);
    for _ in 0..2 {
        assert_eq!(store.count_call(Counter::SignUps, address, limit).await.unwrap(), Some(50));
    }
    assert_eq!(store.count_call(Counter::Removals, address, limit).await.unwrap(), None);
    store.uncount_call(Counter::SignUps, address).await.unwrap();
    assert_eq!(store.count_call(Counter::SignUps, address, limit).await.unwrap(), None);
    assert_eq!(scene.ttl(&key), 50);
    for _ in 0..5 {
        store.uncount_call(Counter::SignUps, address).await.unwrap();
    }
    assert_eq!(scene.ttl(&key), -2);
    assert_eq!(store.count_call(Counter::SignUps, address, Limit { count: 0, seconds: 9 }).await.unwrap(), None);
    assert_eq!(scene.ttl(&key), -2, "without a limit, nothing is counted");
}
