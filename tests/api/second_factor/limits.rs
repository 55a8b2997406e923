//! Codes are limited as passwords are, and in the same counts.

use std::cell::RefCell;

use rstest::rstest;

use crate::support::{
    PASSWORD, PROXY,
    Store::{self, Embedded, Redis},
    TestApp, assert_throttled, guess_until_throttled, replicas, text, unique_address, wait_until, wait_until_compared,
};

#[rstest]
fn wrong_codes_start_the_waits_of_wrong_passwords_on_every_replica(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[]);
    let (app, other) = (&replicas[0], replicas.last().unwrap());
    let (session, authenticator) = app.account_with_totp();
    let (mfa_token, wrong) = (app.mfa_token(&session.email), authenticator.wrong_code());
    let (compared, answer) = guess_until_throttled(|| other.authenticate_totp(&mfa_token, &wrong));
    assert!(compared >= 5, "{compared}");
    assert_throttled(&answer);
    // The same count for passwords, recovery codes and the other routes.
    assert_throttled(&app.authenticate_totp(&mfa_token, authenticator.recovery_code()));
    assert_throttled(&app.authenticate(&session.email, PASSWORD));
    assert_throttled(&app.remove_totp(&session.access_token, PASSWORD, &wrong));
    assert_throttled(&app.confirm_totp(&session.access_token, &wrong));
    // A right code resets the failures.
    wait_until_compared(|| app.authenticate_totp(&mfa_token, &wrong));
    let code = authenticator.recovery_code();
    wait_until("the wait has passed", || app.authenticate_totp(&mfa_token, code).status == 200);
    for _ in 0..4 {
        app.authenticate_totp(&mfa_token, &wrong).assert_error(401, "invalid_code");
    }
}

#[rstest]
fn the_right_password_resets_no_failures(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (session, authenticator) = app.account_with_totp();
    let wrong = authenticator.wrong_code();
    // The password before each code, as an attacker who knows it would send it.
    let (compared, _) = guess_until_throttled(|| {
        let first = app.authenticate(&session.email, PASSWORD);
        if first.status == 429 {
            return first;
        }
        first.assert_error(401, "mfa_required");
        app.authenticate_totp(&text(&first, "mfa_token"), &wrong)
    });
    assert!((5..8).contains(&compared), "{compared}");
}

#[rstest]
fn a_new_password_resets_no_failures(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (session, authenticator) = app.account_with_totp();
    let wrong = authenticator.wrong_code();
    let (token, password) = (RefCell::new(session.access_token.clone()), RefCell::new(PASSWORD.to_owned()));
    // A new password after each code, as somebody would send it who knows the password and has a session.
    let (compared, _) = guess_until_throttled(|| {
        let removed = app.remove_totp(&token.borrow(), &password.borrow(), &wrong);
        if removed.status == 429 {
            return removed;
        }
        removed.assert_error(403, "wrong_code");
        let next = format!("{}x", password.borrow());
        let changed = app.change_password(&token.borrow(), &password.borrow(), &next);
        if changed.status == 429 {
            return changed;
        }
        token.replace(text(&changed, "access_token"));
        password.replace(next);
        removed
    });
    assert!((4..8).contains(&compared), "{compared}");
    // A right code resets the failures. Wrong codes at the set-up may have counted, too.
    let signed_in = || {
        let answer = app.authenticate(&session.email, &password.borrow());
        answer.status == 401
            && app.authenticate_totp(&text(&answer, "mfa_token"), authenticator.recovery_code()).status == 200
    };
    wait_until("the wait has passed", signed_in);
    for _ in 0..4 {
        app.remove_totp(&token.borrow(), &password.borrow(), &wrong).assert_error(403, "wrong_code");
    }
}

#[rstest]
fn guesses_from_elsewhere_do_not_lock_out_the_owner(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[PROXY]);
    let (session, authenticator) = app.account_with_totp();
    let mfa_token = app.mfa_token(&session.email);
    let wrong = authenticator.wrong_code();
    guess_until_throttled(|| app.authenticate_totp_from(&unique_address(), &mfa_token, &wrong));
    // The account knows the address of the sign-up.
    assert_eq!(app.authenticate_totp(&mfa_token, &authenticator.code()).status, 200);
}

#[rstest]
fn codes_count_against_the_limit_of_an_address(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[PROXY, ("ADDRESS_LIMIT", "3")]);
    let (session, authenticator) = app.account_with_totp();
    let (mfa_token, address) = (app.mfa_token(&session.email), unique_address());
    for _ in 0..3 {
        let answer = app.authenticate_totp_from(&address, &mfa_token, &authenticator.wrong_code());
        answer.assert_error(401, "invalid_code");
    }
    let code = authenticator.code();
    assert!(assert_throttled(&app.authenticate_totp_from(&address, &mfa_token, &code)) > 60);
    assert_eq!(app.authenticate_totp_from(&unique_address(), &mfa_token, &code).status, 200);
    // Rejected tokens and successes do not count.
    let address = unique_address();
    for _ in 0..4 {
        let answer = app.authenticate_totp_from(&address, "x", "081804");
        answer.assert_error(401, "invalid_mfa_token");
    }
    let recovery_code = authenticator.recovery_code();
    assert_eq!(app.authenticate_totp_from(&address, &mfa_token, recovery_code).status, 200);
}
