//! One code at the same moment, over three replicas on Redis or on the embedded store.

use std::{sync::Barrier, thread};

use rstest::rstest;

use crate::support::{
    Answer, PASSWORD, Session,
    Store::{self, Embedded, Redis},
    TestApp, alone, replicas,
};

/// The number of simultaneous guesses that the limits admit.
const AT_ONCE: usize = 4;

/// Sends a request to the replicas in turn, all at the same moment.
fn at_once(replicas: &[TestApp], send: impl Fn(&TestApp) -> Answer + Sync) -> Vec<Answer> {
    let (start, send) = (Barrier::new(AT_ONCE), &send);
    thread::scope(|scope| {
        let sent: Vec<_> = (0..AT_ONCE)
            .map(|n| {
                let (app, start) = (&replicas[n % replicas.len()], &start);
                scope.spawn(move || {
                    start.wait();
                    send(app)
                })
            })
            .collect();
        sent.into_iter().map(|answer| answer.join().unwrap()).collect()
    })
}

#[rstest]
fn one_code_opens_one_session(#[values(Redis, Embedded)] store: Store) {
    let _turn = alone();
    let replicas = replicas(store, &[]);
    for round in 0..5 {
        let (session, authenticator) = replicas[0].account_with_totp();
        let mfa_token = replicas[0].mfa_token(&session.email);
        let code = if round % 2 == 0 { authenticator.code() } else { authenticator.recovery_code().to_owned() };
        let answers = at_once(&replicas, |app| app.authenticate_totp(&mfa_token, &code));
        let (opened, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(opened.len(), 1, "{answers:?}");
        for answer in refused {
            assert!([401, 429].contains(&answer.status), "{answer:?}");
        }
        let opened = Session::of(&session.email, opened[0]);
        opened.assert_lives(&replicas);
        assert_eq!(replicas[0].session_ids(&session.access_token), [opened.id(), session.id()]);
    }
}

#[rstest]
fn one_confirmation_wins_and_its_recovery_codes_count(#[values(Redis, Embedded)] store: Store) {
    let _turn = alone();
    let replicas = replicas(store, &[]);
    let session = replicas[0].new_session();
    let started = replicas[0].start_totp(&session.access_token, PASSWORD);
    let secret = crate::support::text(&started, "secret");
    let code = crate::support::Authenticator::new(&secret).code_in(0);
    let answers = at_once(&replicas, |app| app.confirm_totp(&session.access_token, &code));
    let confirmed: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(confirmed.len(), 1, "{answers:?}");
    let mfa_token = replicas[0].mfa_token(&session.email);
    let recovery_code = confirmed[0].json()["recovery_codes"][0].as_str().unwrap().to_owned();
    assert_eq!(replicas[0].authenticate_totp(&mfa_token, &recovery_code).status, 200);
}

#[rstest]
fn one_code_either_signs_in_or_removes_the_second_factor(#[values(Redis, Embedded)] store: Store) {
    let _turn = alone();
    let replicas = replicas(store, &[]);
    for _ in 0..3 {
        let (session, authenticator) = replicas[0].account_with_totp();
        let mfa_token = replicas[0].mfa_token(&session.email);
        let (code, start) = (authenticator.code(), Barrier::new(2));
        let (signed_in, removed) = thread::scope(|scope| {
            let sign_in = scope.spawn(|| {
                start.wait();
                replicas[0].authenticate_totp(&mfa_token, &code)
            });
            start.wait();
            let removed = replicas.last().unwrap().remove_totp(&session.access_token, PASSWORD, &code);
            (sign_in.join().unwrap(), removed)
        });
        let won = [&signed_in, &removed].into_iter().filter(|answer| answer.status == 200).count();
        assert_eq!(won, 1, "{signed_in:?} {removed:?}");
        let needs_code = replicas[0].authenticate(&session.email, PASSWORD).status == 401;
        assert_eq!(needs_code, signed_in.status == 200);
    }
}
