//! The embedded store on a machine whose clock is set, while the server runs and while it is stopped.

use std::thread;

use serde_json::Value;

use crate::support::{
    FakeClock, PASSWORD, Session, Store::Embedded, TestApp, text, time, unix_seconds, wait_until, wait_until_after,
};

const TEN_MINUTES: i64 = 600;
/// Long enough for the steps of a test, and short enough to wait for the end.
const LIVES: [(&str, &str); 2] = [("ACCESS_TOKEN_TTL_SECONDS", "8"), ("REFRESH_TOKEN_TTL_SECONDS", "20")];

/// Runs the test for a step forward and a step back, each with a server of its own, at the same time.
fn for_both_steps(test: impl Fn(i64) + Sync) {
    thread::scope(|scope| {
        for offset in [TEN_MINUTES, -TEN_MINUTES] {
            let test = &test;
            scope.spawn(move || test(offset));
        }
    });
}

fn start(clock: &FakeClock, settings: &[(&str, &str)]) -> TestApp {
    TestApp::start_with(Embedded, &[&clock.settings()[..], settings].concat())
}

fn assert_lives(app: &TestApp, session: &Session) {
    session.assert_lives([app]);
}

/// Asserts that the session ends when its life is over, and not later. `since` is the time of its last refresh by the
/// clock of this machine, which the server does not see.
fn assert_ends(app: &TestApp, session: &Session, since: u64) {
    wait_until_after(since + 20);
    wait_until("the tokens end", || {
        app.current_user(&session.access_token).status == 401
            && app.refresh_access_token(&session.refresh_token).status == 401
    });
    // The leeway of 5 s, and the last access token.
    assert!(unix_seconds() <= since + 35);
}

#[test]
fn a_step_of_the_clock_while_the_server_runs_neither_ends_nor_lengthens_a_session() {
    for_both_steps(|offset| {
        let clock = FakeClock::new(0);
        let app = start(&clock, &LIVES);
        let email = app.new_account();
        let (session, since) = (app.session_of(&email), unix_seconds());
        clock.set(offset);
        assert_lives(&app, &session);
        assert_ends(&app, &session, since);
        let new = app.session_of(&email);
        assert!(time(&new.access_token, "iat").abs_diff(unix_seconds()) <= 5, "the time goes on without the step");
        let warns = |line: &&Value| line["message"].to_string().contains("the clock of the store");
        assert_eq!(app.log().iter().filter(warns).count(), 1, "{}", app.output());
    });
}

#[test]
fn a_step_of_the_clock_across_a_restart_neither_ends_nor_lengthens_a_session() {
    for_both_steps(|offset| {
        let clock = FakeClock::new(0);
        let app = start(&clock, &LIVES);
        let (session, since) = (app.new_session(), unix_seconds());
        clock.set(offset);
        let app = app.kill_and_restart();
        assert_lives(&app, &session);
        wait_until("the difference is in the log", || app.output().contains("the clock of the store is "));
        assert_ends(&app, &session, since);
    });
}

#[test]
fn a_start_while_nobody_is_signed_in_takes_the_clock_of_the_machine() {
    let clock = FakeClock::new(0);
    let app = start(&clock, &[]);
    let session = app.new_session();
    clock.set(-TEN_MINUTES);
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    let app = app.kill_and_restart();
    let new = app.sign_in(&session.email, PASSWORD);
    let expected = unix_seconds().saturating_sub(TEN_MINUTES as u64);
    assert!(time(&new.access_token, "iat").abs_diff(expected) <= 5);
    session.assert_dead([&app]);
}

#[test]
fn doctor_shows_the_difference() {
    let clock = FakeClock::new(0);
    let mut app = start(&clock, &[]);
    let session = app.new_session();
    app.terminate();
    app.wait();
    let seen = |app: &TestApp| {
        let output = app.cli(&["doctor", "--json"]);
        let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
        let clock = findings["findings"].as_array().unwrap().iter().find(|f| f["check"] == "clock").unwrap().clone();
        format!("{} {}", clock["verdict"], clock["seen"])
    };
    assert!(seen(&app).starts_with("\"ok\""), "{}", seen(&app));
    clock.set(TEN_MINUTES);
    let said = seen(&app);
    assert!(said.starts_with("\"warning\"") && said.contains("s behind this machine's"), "{said}");
    let app = app.restart();
    assert_eq!(
        text(&app.refresh_access_token(&session.refresh_token), "result"),
        "Access token refreshed successfully"
    );
}
