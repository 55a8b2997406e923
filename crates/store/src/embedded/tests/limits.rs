//! Tests of the counts of guesses and calls.

use std::thread;

use auth_service_records::throttle::{
    Admission, Counter, FORGET_SECONDS, FREE_FAILURES, Limit, MOST_FAILURES, wait_seconds,
};

use super::scene::{POLICY, Scene, id};

#[test]
fn guesses_at_the_same_moment_are_all_counted() {
    let scene = Scene::new(POLICY);
    let admitted = thread::scope(|scope| {
        let guess = || scene.store.admit_guess(scene.tag, None) == Admission::Admitted;
        let guesses: Vec<_> = (0..16).map(|_| scope.spawn(guess)).collect();
        guesses.into_iter().filter_map(|guess| guess.join().ok()).filter(|admitted| *admitted).count()
    });
    assert_eq!(admitted, FREE_FAILURES as usize + 1);
}

#[test]
fn a_known_address_has_a_count_of_its_own() {
    let scene = Scene::new(POLICY);
    let (own, other) = (Some(id()), Some(id()));
    for _ in 0..=FREE_FAILURES {
        assert_eq!(scene.store.admit_guess(scene.tag, None), Admission::Admitted);
        assert_eq!(scene.store.admit_guess(scene.tag, other), Admission::Admitted);
    }
    assert_eq!(scene.store.admit_guess(scene.tag, None), Admission::Wait(1));
    assert_eq!(scene.store.admit_guess(scene.tag, own), Admission::Admitted);
}

#[test]
fn a_known_address_has_a_hundred_guesses_in_a_row_and_then_pauses() {
    let scene = Scene::new(POLICY);
    let known = Some(id());
    let mut now = 0;
    for failures in 1..=MOST_FAILURES {
        assert_eq!(scene.store.admit_guess(scene.tag, known), Admission::Admitted, "{failures}");
        if failures < MOST_FAILURES {
            now += wait_seconds(failures) * 1_000;
            scene.at(now);
        }
    }
    now += (FORGET_SECONDS - 1) * 1_000;
    scene.at(now);
    assert_eq!(scene.store.admit_guess(scene.tag, known), Admission::Wait(1));
    scene.at(now + 1_500);
    for _ in 0..=FREE_FAILURES {
        assert_eq!(scene.store.admit_guess(scene.tag, known), Admission::Admitted, "the count has started anew");
    }
}

#[test]
fn a_guess_that_was_not_compared_is_taken_back_with_its_wait() {
    let scene = Scene::new(POLICY);
    for _ in 0..20 {
        assert_eq!(scene.store.admit_guess(scene.tag, None), Admission::Admitted);
        scene.store.withdraw_guess(scene.tag, None);
    }
    for _ in 0..=FREE_FAILURES {
        assert_eq!(scene.store.admit_guess(scene.tag, None), Admission::Admitted);
    }
    assert_eq!(scene.store.admit_guess(scene.tag, None), Admission::Wait(1));
    scene.store.withdraw_guess(scene.tag, None);
    assert_eq!(scene.store.admit_guess(scene.tag, None), Admission::Admitted);
}

#[test]
fn calls_are_counted_up_to_the_limit_and_in_its_window() {
    let scene = Scene::new(POLICY);
    let (address, limit) = (id(), Limit { count: 3, seconds: 10 });
    let count = || scene.store.count_call(Counter::SignUps, address, limit);
    let allowed = thread::scope(|scope| {
        let calls: Vec<_> = (0..16).map(|_| scope.spawn(count)).collect();
        calls.into_iter().filter_map(|call| call.join().ok()).filter(Option::is_none).count()
    });
    assert_eq!(allowed, 3);
    assert_eq!(scene.store.count_call(Counter::Removals, address, limit), None, "each counter counts for itself");
    scene.store.uncount_call(Counter::SignUps, address);
    assert_eq!(count(), None);
    scene.at(8_500);
    assert_eq!(count(), Some(2));
    scene.at(10_500);
    assert_eq!(count(), None);
    let none = Limit { count: 0, seconds: 10 };
    assert!((0..10).all(|_| scene.store.count_call(Counter::SignUps, address, none).is_none()));
}
