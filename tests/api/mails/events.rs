//! The audit trail and the metrics of the routes by mail.

use rstest::rstest;
use serde_json::Value;

use super::scene::{NEW_PASSWORD, Scene};
use crate::support::{
    Answer, METRICS, PASSWORD,
    Store::{self, Embedded, Redis},
    TestApp, claims, unique_email, wait_until,
};

/// The audit lines of the request that got this answer.
fn lines_of(app: &TestApp, answer: &Answer) -> Vec<Value> {
    let id = answer.header("x-request-id").unwrap();
    let lines = || {
        let lines = app.log().into_iter();
        lines.filter(|line| line["target"] == "audit" && line["request_id"] == id).collect::<Vec<_>>()
    };
    wait_until("the event is logged", || !lines().is_empty());
    lines()
}

#[rstest]
fn each_step_is_an_event_of_its_user(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[("EMAIL_VERIFICATION", "optional"), METRICS]);
    let app = &scene.app;
    let (email, new) = (unique_email(), unique_email());
    let signed_up = app.sign_up(&email, PASSWORD);
    let session = app.session_of(&email);
    let user_id = &claims(&session.access_token)["sub"];
    let expect = |answer: &Answer, events: &[&str]| {
        assert!([200, 201, 202].contains(&answer.status), "{answer:?}");
        let lines = lines_of(app, answer);
        assert_eq!(lines.iter().map(|line| line["event"].as_str().unwrap()).collect::<Vec<_>>(), events, "{lines:?}");
        assert!(lines.iter().all(|line| line["user_id"] == *user_id), "{lines:?}");
        assert!(lines.iter().all(|line| line.get("email").is_none()), "{lines:?}");
    };
    expect(&signed_up, &["signed_up", "email_verification_requested"]);
    expect(&app.request_email_verification(&session.access_token), &["email_verification_requested"]);
    let (_, token) = (scene.token("verify", &email), scene.token("verify", &email));
    expect(&app.verify_email(&token), &["email_verified"]);
    expect(&app.forgot_password(&email), &["password_reset_requested"]);
    expect(&app.reset_password(&scene.token("reset", &email), NEW_PASSWORD), &["password_reset"]);
    let session = app.sign_in(&email, NEW_PASSWORD);
    expect(&app.change_email(&session.access_token, &new, NEW_PASSWORD), &["email_change_requested"]);
    expect(&app.verify_email(&scene.token("change", &new)), &["email_changed"]);

    let unknown = lines_of(app, &app.forgot_password(&unique_email()));
    assert_eq!(unknown[0]["event"], "password_reset_requested", "{unknown:?}");
    assert!(unknown[0].get("user_id").is_none_or(Value::is_null), "{unknown:?}");
    for (event, count) in [
        ("email_verification_requested", 2.0),
        ("email_verified", 1.0),
        ("password_reset_requested", 2.0),
        ("password_reset", 1.0),
        ("email_change_requested", 1.0),
        ("email_changed", 1.0),
    ] {
        assert_eq!(app.metric(&format!("events_total{{event=\"{event}\"}}")), Some(count), "{event}");
    }
    // The reset and the change.
    assert_eq!(app.metric("sessions_ended_total"), Some(2.0));
}
