//! What a receiver gets.

use std::collections::HashSet;

use rstest::rstest;

use super::scene::{Scene, assert_prints_no_secret};
use crate::support::{
    Certificates, FAILED, PASSWORD, Receiver, Store, WEBHOOK_SECRET, claims, unix_seconds, wait_longer, wait_until,
};

/// Another secret, for a receiver that already knows the next one.
const NEXT_SECRET: &str = "whsec_bmV4dC1uZXh0LW5leHQtbmV4dC1uZXh0LW5leHQtbmV4dA==";

#[rstest]
fn every_event_arrives_signed(#[values(Store::Redis, Store::Embedded)] store: Store) {
    let receiver = Receiver::start();
    let emails = if store == Store::Embedded { "on" } else { "off" };
    let secrets = format!("{WEBHOOK_SECRET} {NEXT_SECRET}");
    let app = Scene::new(store).start(&receiver, &[("AUDIT_EMAILS", emails), ("WEBHOOK_SECRET", &secrets)]);
    let email = app.new_account();
    app.authenticate(&email, "a wrong one").assert_error(401, "invalid_credentials");
    let (first, second) = (app.session_of(&email), app.session_of(&email));
    assert_eq!(app.refresh_access_token(&first.refresh_token).status, 200);
    let sid = claims(&first.access_token)["sid"].as_str().unwrap().to_owned();
    assert_eq!(app.send_as(&second.access_token, "DELETE", &format!("/sessions/{sid}"), None).status, 200);
    let changed = app.change_password(&second.access_token, PASSWORD, "another horse");
    assert_eq!(changed.status, 200, "{changed:?}");
    let last = app.sign_in(&email, "another horse");
    assert_eq!(app.delete_user(&last.access_token, "another horse").status, 200);
    let expected =
        ["signed_up", "signed_in", "signed_in", "session_ended", "password_changed", "signed_in", "user_deleted"];
    let hooks = receiver.wait_for(expected.len());
    assert_eq!(receiver.kinds(), expected);
    assert_eq!(hooks.iter().map(|hook| hook.id()).collect::<HashSet<_>>().len(), expected.len());
    for hook in &hooks {
        assert_eq!(hook.line, "POST /planted-path?key=planted HTTP/1.1");
        assert_eq!(hook.headers["content-type"], "application/json");
        assert!(hook.headers["user-agent"].starts_with("auth-service/"), "{hook:?}");
        let timestamp: u64 = hook.headers["webhook-timestamp"].parse().unwrap();
        assert!(timestamp.abs_diff(unix_seconds()) < 60, "{hook:?}");
        hook.assert_signed_by(WEBHOOK_SECRET);
        hook.assert_signed_by(NEXT_SECRET);
        let (event, data) = (hook.event(), hook.event()["data"].clone());
        assert!(event["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')), "{event}");
        assert_eq!((&data["user_id"], &data["address"]), (&claims(&first.access_token)["sub"], &"127.0.0.1".into()));
        assert!(data["request_id"].is_string(), "{event}");
        assert!(!hook.body.contains(PASSWORD) && !hook.body.contains(&first.refresh_token), "{event}");
        let has_email = matches!(hook.kind().as_str(), "signed_up" | "signed_in") && emails == "on";
        assert_eq!(data["email"].as_str(), has_email.then_some(&*email), "{event}");
    }
    assert_eq!(hooks[3].event()["data"]["session_id"], sid);
    wait_until("the outbox is empty", || app.metric("webhook_outbox_length") == Some(0.0));
    assert_eq!(app.metric("webhooks_delivered_total"), Some(7.0));
    assert_eq!(app.metric("webhook_oldest_event_age_seconds"), Some(0.0));
    assert_prints_no_secret(&app);
}

/// A wrong code is announced, because only somebody who knows the password gets to the code. A wrong password is not.
#[rstest]
fn a_wrong_code_is_announced(#[values(Store::Redis, Store::Embedded)] store: Store) {
    let receiver = Receiver::start();
    let app = Scene::new(store).start(&receiver, &[]);
    let (session, authenticator) = app.account_with_totp();
    let (wrong, mfa_token) = (authenticator.wrong_code(), app.mfa_token(&session.email));
    app.authenticate(&session.email, "a wrong one").assert_error(401, "invalid_credentials");
    app.authenticate_totp(&mfa_token, &wrong).assert_error(401, "invalid_code");
    app.remove_totp(&session.access_token, PASSWORD, &wrong).assert_error(403, "wrong_code");
    assert_eq!(app.authenticate_totp(&mfa_token, authenticator.recovery_code()).status, 200);
    wait_until("all events have arrived", || receiver.kinds().iter().filter(|kind| *kind == "signed_in").count() == 2);
    let mut kinds = receiver.kinds();
    let of_codes = kinds.split_off(kinds.iter().position(|kind| kind == "second_factor_required").unwrap());
    assert_eq!(of_codes, ["second_factor_required", "second_factor_failed", "second_factor_failed", "signed_in"]);
    let failed: Vec<_> = receiver.hooks().into_iter().filter(|hook| hook.kind() == "second_factor_failed").collect();
    for hook in &failed {
        assert_eq!(hook.event()["data"]["user_id"], claims(&session.access_token)["sub"]);
        assert!(!hook.body.contains(&wrong) && !hook.body.contains(&mfa_token), "{}", hook.body);
    }
    assert_eq!(failed.last().unwrap().event()["data"]["session_id"], session.id());
}

#[test]
fn a_receiver_over_tls_must_have_a_certificate_that_the_system_trusts() {
    let certificates = Certificates::shared();
    let receiver = Receiver::with_tls(&certificates);
    let trusting = Scene::new(Store::Embedded).start(&receiver, &[("SSL_CERT_FILE", &certificates.path("ca.pem"))]);
    trusting.new_account();
    receiver.wait_for(1)[0].assert_signed_by(WEBHOOK_SECRET);
    let distrusting = Scene::new(Store::Embedded).start(&receiver, &[]);
    distrusting.new_account();
    wait_until("the log says why", || distrusting.output().contains("invalid peer certificate"));
    assert!(distrusting.metric(r#"webhook_failures_total{reason="unreachable"}"#).unwrap() > 0.0);
    assert_eq!(receiver.hooks().len(), 1);
    assert_prints_no_secret(&distrusting);
}

#[test]
fn only_2xx_is_a_delivery_and_a_redirect_leads_nowhere() {
    const REDIRECT: &str = "307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
    let hooks = std::sync::Mutex::new([Some(REDIRECT), FAILED].into_iter());
    let receiver = Receiver::deciding(move |_| {
        hooks.lock().unwrap().next().unwrap_or(Some("202 Accepted\r\nContent-Length: 2\r\n\r\nok"))
    });
    let app = Scene::new(Store::Embedded).start(&receiver, &[]);
    app.new_account();
    let tries = receiver.wait_for(3);
    wait_until("the outbox is empty", || app.metric("webhook_outbox_length") == Some(0.0));
    assert_eq!(receiver.hooks().len(), 3);
    for hook in &tries {
        assert_eq!((hook.id(), &hook.body), (tries[0].id(), &tries[0].body));
        assert!(hook.line.starts_with("POST /planted-path"), "{hook:?}");
        hook.assert_signed_by(WEBHOOK_SECRET);
    }
    let times: Vec<u64> = tries.iter().map(|hook| hook.headers["webhook-timestamp"].parse().unwrap()).collect();
    assert!(times[2] > times[0], "each try has its own time: {times:?}");
    assert_eq!(app.metric(r#"webhook_failures_total{reason="status"}"#), Some(2.0));
    assert_eq!(app.metric("webhooks_delivered_total"), Some(1.0));
    wait_until("the log says why", || app.output().contains("the receiver answers 307"));
    assert_prints_no_secret(&app);
}

#[test]
fn a_silent_receiver_delays_no_request_and_is_asked_again() {
    let silent = std::sync::atomic::AtomicBool::new(true);
    let receiver = Receiver::deciding(move |_| {
        let is_first = silent.swap(false, std::sync::atomic::Ordering::Relaxed);
        if is_first { None } else { crate::support::ACCEPTED }
    });
    let app = Scene::new(Store::Embedded).start(&receiver, &[]);
    let email = app.new_account();
    receiver.wait_for(1);
    app.session_of(&email);
    wait_longer(30, "the receiver has both events", || receiver.kinds() == ["signed_up", "signed_up", "signed_in"]);
    assert_eq!(app.metric(r#"webhook_failures_total{reason="timeout"}"#), Some(1.0));
}
