//! Simultaneous sign-ins respect the limit on the sessions of a user.

use std::{sync::Barrier, thread};

use rstest::rstest;

use crate::support::{
    PASSWORD, PATIENT, Racer, Session,
    Store::{self, Embedded, Redis},
    alone, race, replicas, unique_email,
};

/// Signs in `times` times at once. The sessions are in no particular order.
fn sign_in_at_once(racer: &Racer<'_>, email: &str, times: usize) -> Vec<Session> {
    let barrier = Barrier::new(times);
    thread::scope(|scope| {
        let sign_ins = (0..times).map(|_| {
            scope.spawn(|| {
                barrier.wait();
                racer.sign_in(email, PASSWORD)
            })
        });
        sign_ins.collect::<Vec<_>>().into_iter().map(|sign_in| sign_in.join().unwrap()).collect()
    })
}

/// Asserts that exactly `limit` of `sessions` are alive, and that the list shows exactly these.
fn assert_limited(racer: &Racer<'_>, sessions: &[Session], limit: usize) {
    let app = racer.app();
    let lives = |session: &&Session| app.current_user(&session.access_token).status == 200;
    let (live, dead): (Vec<_>, Vec<_>) = sessions.iter().partition(lives);
    assert_eq!(live.len(), limit);
    let mut ids: Vec<_> = live.iter().map(|session| session.id()).collect();
    ids.sort();
    for app in racer.replicas {
        let mut listed = app.session_ids(&live[0].access_token);
        listed.sort();
        assert_eq!(listed, ids);
    }
    for session in live {
        racer.assert_lives(session);
    }
    for session in dead {
        racer.assert_dead(session);
    }
}

#[rstest]
fn few_sign_ins_at_once_keep_to_the_session_limit(#[values(Redis, Embedded)] store: Store) {
    race(store, &[("MAX_SESSIONS_PER_USER", "2")], |racer, rounds| {
        let email = unique_email();
        racer.sign_up(&email);
        let mut before = Vec::new();
        for _ in 0..rounds {
            let sessions = sign_in_at_once(racer, &email, 3);
            assert_limited(racer, &sessions, 2);
            // The sessions of the previous round are older, so they have ended.
            for session in &before {
                racer.assert_dead(session);
            }
            before = sessions;
        }
    });
}

#[rstest]
fn two_hundred_sign_ins_at_once_keep_to_the_session_limit(#[values(Redis, Embedded)] store: Store) {
    let _alone = alone();
    let replicas = replicas(store, &[&PATIENT[..], &[("MAX_SESSIONS_PER_USER", "10")]].concat());
    let racer = Racer::new(&replicas, 0);
    let older = replicas[0].new_session();
    let sessions = sign_in_at_once(&racer, &older.email, 200);
    racer.assert_dead(&older);
    assert_limited(&racer, &sessions, 10);
}
