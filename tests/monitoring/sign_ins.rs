//! Storms of sign-ins, slow hashes, and reused tokens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    site::site_of,
    support::{
        PASSWORD, PROXY, Store::Embedded, TestApp, alone, load::post, not_beside_load, raw, text, unique_address,
        unique_email,
    },
    traffic::Traffic,
};

/// A storm of sign-ins with this email and password, each as a request from a client at `address`.
fn storm(
    app: &TestApp,
    threads: usize,
    pause: Duration,
    email: impl Fn() -> String + Clone + Send + 'static,
) -> Traffic {
    let (port, address) = (app.port(), unique_address());
    Traffic::of(threads, pause, move |_| {
        let body = json!({"email": email(), "password": PASSWORD}).to_string();
        let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", &*address)];
        let _ = raw::exchange(port, &raw::request("POST", "/authenticate", &headers, Some(&body)));
    })
}

/// Returns the accounts in turns, because the server would throttle many sign-ins of one account at the same moment.
fn accounts(app: &TestApp, count: usize) -> impl Fn() -> String + Clone + Send + 'static {
    let emails: Vec<_> = (0..count).map(|_| app.new_account()).collect();
    let next = Arc::new(AtomicUsize::new(0));
    move || emails[next.fetch_add(1, Ordering::Relaxed) % emails.len()].clone()
}

#[test]
fn a_storm_of_wrong_passwords() {
    let _turn = not_beside_load();
    let settings = [PROXY, ("ADDRESS_LIMIT", "60")];
    let (mut site, apps) = site_of(1, &settings, |settings| TestApp::start_with(Embedded, settings));
    let _traffic = Traffic::usual(&apps);
    let since = Instant::now();
    let storm = storm(&apps[0], 2, Duration::from_millis(40), unique_email);
    site.expect("one address guesses", since, &["AuthServiceSignInsFail", "AuthServiceThrottled"]);
    let since = Instant::now();
    drop(storm);
    site.expect_peace("the address has stopped", since);
}

#[test]
fn a_storm_of_right_passwords() {
    let _turn = alone();
    let settings = [("ARGON2_MEMORY_KIB", "19456"), ("ARGON2_ITERATIONS", "4"), ("REQUEST_TIMEOUT_SECONDS", "2")];
    let (mut site, apps) = site_of(1, &settings, |settings| TestApp::start_with(Embedded, settings));
    let email = accounts(&apps[0], 24);
    let since = Instant::now();
    let storm = storm(&apps[0], 48, Duration::from_millis(50), email);
    // The sign-ins that the server takes wait, too.
    site.may_fire(&["AuthServiceSignInsSlow"]);
    site.expect("more sign-ins than the CPUs can hash", since, &["AuthServiceHashingOverloaded"]);
    let since = Instant::now();
    drop(storm);
    site.expect_peace("the storm is over", since);
}

#[test]
fn sign_ins_that_wait_long() {
    let _turn = alone();
    // The deadline is so long that the server refuses no sign-in.
    let settings = [("ARGON2_MEMORY_KIB", "19456"), ("ARGON2_ITERATIONS", "2"), ("REQUEST_TIMEOUT_SECONDS", "60")];
    let (mut site, apps) = site_of(1, &settings, |settings| TestApp::start_with(Embedded, settings));
    let email = accounts(&apps[0], 64);
    let since = Instant::now();
    let storm = storm(&apps[0], 128, Duration::ZERO, email);
    site.expect("sign-ins wait for CPUs", since, &["AuthServiceSignInsSlow"]);
    let since = Instant::now();
    drop(storm);
    site.expect_peace("the storm is over", since);
}

#[test]
fn guesses_at_codes() {
    let (mut site, apps) = site_of(1, &[], |settings| TestApp::start_with(Embedded, settings));
    let since = Instant::now();
    for _ in 0..3 {
        let (session, authenticator) = apps[0].account_with_totp();
        let mfa_token = apps[0].mfa_token(&session.email);
        // The fifth failure in a row would cause a wait.
        for _ in 0..4 {
            apps[0].authenticate_totp(&mfa_token, &authenticator.wrong_code()).assert_error(401, "invalid_code");
        }
    }
    site.expect("somebody guesses codes", since, &["AuthServiceSecondFactorsFail"]);
    site.expect_peace("nobody guesses any more", Instant::now());
}

#[test]
fn spent_refresh_tokens_that_come_again() {
    let settings = [("REFRESH_TOKEN_ROTATION", "on"), ("REFRESH_GRACE_SECONDS", "0")];
    let (mut site, apps) = site_of(1, &settings, |settings| TestApp::start_with(Embedded, settings));
    let since = Instant::now();
    for _ in 0..4 {
        let session = apps[0].new_session();
        let refresh =
            |token: &str| post(apps[0].port(), "/refresh-access-token", &json!({"refresh_token": token})).unwrap();
        let successor = text(&refresh(&session.refresh_token), "refresh_token");
        assert_eq!(refresh(&successor).status, 200);
        refresh(&session.refresh_token).assert_error(401, "token_reused");
    }
    site.expect("spent refresh tokens come again", since, &["AuthServiceTokensReused"]);
    site.expect_peace("no more token comes again", Instant::now());
}
