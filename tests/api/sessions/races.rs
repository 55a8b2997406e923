//! Races: the state that simultaneous requests leave behind.
//!
//! Each race runs for several users at once, 200 times in total unless `TEST_RACE_ROUNDS` has another number. After each
//! round, every token that should be dead is refused everywhere, and every token that should live is accepted.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use rstest::rstest;
use serde_json::json;

use crate::support::{
    Answer, Ended, PASSWORD, PAUSE, Racer, Session,
    Store::{self, Embedded, Redis},
    assert_accepted, at_once, race, text, unique_email,
};

/// Refreshes until `done` is set, and once more after that. Returns the access tokens and the last answer.
fn refresh_until(racer: &Racer<'_>, refresh_token: &str, done: &AtomicBool) -> (Vec<String>, Answer) {
    let mut access_tokens = Vec::new();
    loop {
        thread::sleep(PAUSE);
        let last = done.load(Ordering::SeqCst);
        let answer = racer.app().refresh_access_token(refresh_token);
        if answer.status == 200 {
            access_tokens.push(text(&answer, "access_token"));
        }
        if last {
            return (access_tokens, answer);
        }
    }
}

/// Asserts that no replica accepts the tokens of `session`, or the first and the last of `access_tokens`.
fn assert_all_dead(racer: &Racer<'_>, session: &Session, access_tokens: &[String]) {
    racer.assert_dead(session);
    for token in access_tokens.iter().take(1).chain(access_tokens.iter().rev().take(2)) {
        racer.assert_refused(token);
    }
}

#[rstest]
fn refresh_against_removal(#[values(Redis, Embedded)] store: Store) {
    race(store, &[], |racer, rounds| {
        let email = unique_email();
        racer.sign_up(&email);
        for _ in 0..rounds {
            let session = racer.sign_in(&email, PASSWORD);
            let done = AtomicBool::new(false);
            let ((access_tokens, last), removed) = at_once(
                || refresh_until(racer, &session.refresh_token, &done),
                || {
                    let _ended = Ended(&done);
                    racer.app().remove_access_token(&email)
                },
            );
            removed.assert(200, &json!({"result": "Access token removed"}));
            last.assert_error(404, "token_not_found");
            assert_all_dead(racer, &session, &access_tokens);
        }
        racer.assert_lives(&racer.sign_in(&email, PASSWORD));
    });
}

#[rstest]
fn refresh_and_sign_in_against_password_change(#[values(Redis, Embedded)] store: Store) {
    race(store, &[], |racer, rounds| {
        let email = unique_email();
        racer.sign_up(&email);
        let kept = racer.sign_in(&email, PASSWORD);
        let (mut old, mut new) = (PASSWORD.to_owned(), "battery staple".to_owned());
        for _ in 0..rounds {
            let ended = racer.sign_in(&email, &old);
            let done = AtomicBool::new(false);
            let (ended_refreshes, kept_refreshes, late, changed) = thread::scope(|scope| {
                let ended_refreshes = scope.spawn(|| refresh_until(racer, &ended.refresh_token, &done));
                let kept_refreshes = scope.spawn(|| refresh_until(racer, &kept.refresh_token, &done));
                let late = scope.spawn(|| racer.insist(|app| app.authenticate(&email, &old)));
                let changed = {
                    let _ended = Ended(&done);
                    racer.insist(|app| app.change_password(&kept.access_token, &old, &new))
                };
                (ended_refreshes.join().unwrap(), kept_refreshes.join().unwrap(), late.join().unwrap(), changed)
            });
            assert_eq!(changed.status, 200, "{changed:?}");
            ended_refreshes.1.assert_error(404, "token_not_found");
            assert_all_dead(racer, &ended, &ended_refreshes.0);
            // A sign-in with the old password may come before the change. Then the change must end the new session.
            match late.status {
                200 => racer.assert_dead(&Session::of(&email, &late)),
                _ => late.assert_error(401, "invalid_credentials"),
            }
            assert_eq!(kept_refreshes.1.status, 200, "{kept_refreshes:?}");
            racer.assert_lives(&kept);
            let tokens = kept_refreshes.0;
            for token in tokens.iter().take(1).chain(tokens.iter().rev().take(2)) {
                assert_accepted(racer.app(), token, &email);
            }
            std::mem::swap(&mut old, &mut new);
        }
    });
}

#[rstest]
fn sign_in_against_user_deletion(#[values(Redis, Embedded)] store: Store) {
    race(store, &[], |racer, rounds| {
        let email = unique_email();
        let mut buried: Vec<Session> = Vec::new();
        for _ in 0..rounds {
            racer.sign_up(&email);
            let first = racer.sign_in(&email, PASSWORD);
            racer.assert_lives(&first);
            // The sessions of an earlier account with this email stay dead.
            for session in &buried {
                racer.assert_dead(session);
            }
            let (sign_ins, deleted) = at_once(
                || [0, 1].map(|_| racer.insist(|app| app.authenticate(&email, PASSWORD))),
                || racer.insist(|app| app.delete_user(&first.access_token, PASSWORD)),
            );
            deleted.assert(200, &json!({"result": "Account deleted"}));
            buried = vec![first];
            for answer in sign_ins {
                match answer.status {
                    200 => buried.push(Session::of(&email, &answer)),
                    _ => answer.assert_error(401, "invalid_credentials"),
                }
            }
            for session in &buried {
                racer.assert_dead(session);
            }
        }
    });
}

#[rstest]
fn two_rotations_at_once(#[values(Redis, Embedded)] store: Store) {
    race(store, &[("REFRESH_TOKEN_ROTATION", "on"), ("REFRESH_GRACE_SECONDS", "60")], |racer, rounds| {
        let email = unique_email();
        racer.sign_up(&email);
        let mut refresh_token = racer.sign_in(&email, PASSWORD).refresh_token;
        for _ in 0..rounds {
            let refresh = || racer.app().refresh_access_token(&refresh_token);
            let (one, other) = at_once(refresh, refresh);
            let (one, other) = (Session::of(&email, &one), Session::of(&email, &other));
            assert_eq!(one.refresh_token, other.refresh_token);
            assert_ne!(one.refresh_token, refresh_token);
            for app in racer.replicas {
                assert_accepted(app, &one.access_token, &email);
                assert_accepted(app, &other.access_token, &email);
            }
            refresh_token = one.refresh_token;
        }
    });
}

/// One session ends all sessions, the other ends all sessions except itself. The later request must fail, because its
/// session has already ended.
#[rstest]
fn two_sessions_that_end_each_other(#[values(Redis, Embedded)] store: Store) {
    race(store, &[], |racer, rounds| {
        let email = unique_email();
        racer.sign_up(&email);
        for _ in 0..rounds {
            let (all, others) = (racer.sign_in(&email, PASSWORD), racer.sign_in(&email, PASSWORD));
            let (all_ended, others_ended) = at_once(
                || racer.app().send_as(&all.access_token, "DELETE", "/sessions", None),
                || racer.app().send_as(&others.access_token, "DELETE", "/sessions?except=current", None),
            );
            racer.assert_dead(&all);
            if others_ended.status == 200 {
                all_ended.assert_error(401, "invalid_token");
                racer.assert_lives(&others);
            } else {
                others_ended.assert_error(401, "invalid_token");
                assert_eq!(all_ended.status, 200, "{all_ended:?}");
                racer.assert_dead(&others);
            }
        }
    });
}
