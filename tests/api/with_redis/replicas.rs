//! Several processes on one Redis are one service.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::json;

use crate::support::{PASSWORD, Store, TestApp, unique_email};

fn three_replicas() -> [TestApp; 3] {
    [(); 3].map(|()| TestApp::start(Store::Redis))
}

#[test]
fn a_token_of_one_replica_is_valid_at_the_others_at_once() {
    let replicas = three_replicas();
    for n in 0..9 {
        let [a, b, c] = [0, 1, 2].map(|step| &replicas[(n + step) % 3]);
        let session = a.new_session();
        let profile = b.current_user(&session.access_token);
        assert_eq!((profile.status, &profile.json()["data"]["email"]), (200, &json!(session.email)));
        let refreshed = b.refresh_access_token(&session.refresh_token);
        assert_eq!(refreshed.status, 200, "{refreshed:?}");
        let refreshed = refreshed.json()["access_token"].as_str().unwrap().to_owned();
        for app in [a, c] {
            assert_eq!(app.current_user(&refreshed).json()["data"]["email"], session.email);
        }
        assert_eq!(c.session_of(&session.email).email, session.email);
    }
}

#[test]
fn a_removal_at_one_replica_is_401_at_the_others_on_the_next_request() {
    let [a, b, c] = three_replicas();
    let email = a.new_session().email;
    for _ in 0..10 {
        let session = a.session_of(&email);
        assert_eq!(b.current_user(&session.access_token).status, 200);
        c.remove_access_token(&email).assert(200, &json!({"result": "Access token removed"}));
        for app in [&a, &b] {
            app.current_user(&session.access_token).assert_error(401, "invalid_token");
            app.refresh_access_token(&session.refresh_token).assert_error(404, "token_not_found");
        }
    }
}

#[test]
fn fifty_concurrent_signups_over_three_replicas_make_one_account() {
    // On a busy machine, fifty hashes take longer than the usual deadline of a request.
    let replicas = [(); 3].map(|()| TestApp::start_with(Store::Redis, &[("REQUEST_TIMEOUT_SECONDS", "30")]));
    let email = unique_email();
    let mut statuses = thread::scope(|scope| {
        let tries: Vec<_> = (0..50)
            .map(|n| {
                let (app, email) = (&replicas[n % 3], &email);
                scope.spawn(move || {
                    let answer = app.sign_up(email, PASSWORD);
                    if answer.status == 409 {
                        answer.assert_error(409, "email_taken");
                    }
                    answer.status
                })
            })
            .collect();
        tries.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
    });
    statuses.sort_unstable();
    let expected: Vec<u16> = std::iter::once(201).chain([409; 49]).collect();
    assert_eq!(statuses, expected);
    for app in &replicas {
        assert_eq!(app.authenticate(&email, PASSWORD).status, 200);
    }
}

#[test]
fn a_killed_replica_costs_the_others_nothing() {
    let [mut a, b, c] = three_replicas();
    let sessions: Vec<_> = (0..10).map(|_| a.new_session()).collect();
    let going_on = AtomicBool::new(true);
    thread::scope(|scope| {
        let (going_on, b, c, sessions) = (&going_on, &b, &c, &sessions);
        let others = [b, c].map(|app| {
            scope.spawn(move || {
                let mut served = 0;
                while going_on.load(Ordering::Relaxed) || served < 30 {
                    let session = &sessions[served % sessions.len()];
                    assert_eq!(app.current_user(&session.access_token).status, 200);
                    served += 1;
                }
            })
        });
        a.kill();
        going_on.store(false, Ordering::Relaxed);
        for other in others {
            other.join().unwrap();
        }
    });
    for session in &sessions {
        assert_eq!(b.refresh_access_token(&session.refresh_token).status, 200);
        assert_eq!(c.session_of(&session.email).email, session.email);
    }
}

#[test]
fn a_refresh_raced_against_removal_leaves_no_live_token() {
    let replicas = three_replicas();
    let [a, b, c] = &replicas;
    let email = a.new_session().email;
    let (mut alive_before, mut dead) = (0, 0);
    for round in 0..40 {
        let session = a.session_of(&email);
        let removed = AtomicBool::new(false);
        let tokens: Vec<String> = thread::scope(|scope| {
            let (removed, session) = (&removed, &session);
            let refreshers = [a, b, c, a].map(|app| {
                scope.spawn(move || {
                    let mut tokens = Vec::new();
                    loop {
                        let after_removal = removed.load(Ordering::SeqCst);
                        let answer = app.refresh_access_token(&session.refresh_token);
                        if answer.status != 200 {
                            answer.assert_error(404, "token_not_found");
                            return tokens;
                        }
                        assert!(!after_removal, "a refresh succeeded after the removal");
                        tokens.push(answer.json()["access_token"].as_str().unwrap().to_owned());
                    }
                })
            });
            // The requests before the removal vary its moment from round to round.
            for _ in 0..round % 8 {
                assert_eq!(b.current_user(&session.access_token).status, 200);
            }
            assert_eq!(c.remove_access_token(&session.email).status, 200);
            removed.store(true, Ordering::SeqCst);
            refreshers.into_iter().flat_map(|refresher| refresher.join().unwrap()).collect()
        });
        alive_before += tokens.len();
        for (n, token) in tokens.iter().chain([&session.access_token]).enumerate() {
            replicas[n % 3].current_user(token).assert_error(401, "invalid_token");
            dead += 1;
        }
    }
    assert!(alive_before > 40, "only {alive_before} refreshes succeeded before a removal");
    assert_eq!(dead, alive_before + 40);
}
