//! Events that nobody accepts.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rstest::rstest;

use super::scene::{Scene, assert_prints_no_secret};
use crate::support::{ACCEPTED, FAILED, Receiver, Store, wait_longer};

#[rstest]
fn an_event_becomes_a_dead_letter_and_can_be_retried(#[values(Store::Redis, Store::Embedded)] store: Store) {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let receiver = Receiver::deciding(move |hook| {
        if is_well.load(Ordering::Relaxed) || hook.kind() == "signed_in" { ACCEPTED } else { FAILED }
    });
    let app = Scene::new(store).start(&receiver, &[("WEBHOOK_GIVE_UP_SECONDS", "1")]);
    let email = app.new_account();
    app.session_of(&email);
    wait_longer(30, "the server gives up, and the next event follows", || {
        app.metric("webhook_dead_letters") == Some(1.0) && app.metric("webhook_outbox_length") == Some(0.0)
    });
    assert_eq!(receiver.kinds().last().unwrap(), "signed_in");
    assert_eq!(app.metric(r#"webhooks_buried_total{reason="gave_up"}"#), Some(1.0));
    wait_longer(10, "the log says so", || app.output().contains("a webhook is a dead letter"));
    assert_prints_no_secret(&app);
    let hooks = receiver.hooks();
    let dead = hooks.iter().find(|hook| hook.kind() == "signed_up").unwrap();

    let app = app.aside(store);
    let (code, json) = run(&app, &["webhooks", "dead", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let letter = &json["dead_letters"][0];
    assert_eq!((code, &letter["id"], &letter["event"]), (0, &dead.id().into(), &dead.event()), "{json}");
    let (code, text) = run(&app, &["webhooks", "dead"]);
    assert!(code == 0 && text.contains(&format!("signed_up at {}", dead.event()["timestamp"].as_str().unwrap())));
    let tries = receiver.hooks().len();
    well.store(true, Ordering::Relaxed);
    assert_eq!(run(&app, &["webhooks", "retry"]), (0, "Dead letters that are back in the outbox: 1\n".to_owned()));
    assert_eq!(run(&app, &["webhooks", "dead"]), (0, "No dead letters\n".to_owned()));
    let app = app.back(store);
    let hooks = receiver.wait_for(tries + 1);
    assert_eq!(hooks.last().unwrap().id(), dead.id());
    wait_longer(10, "no letter is left", || app.metric("webhook_dead_letters") == Some(0.0));
}

fn run(app: &crate::support::TestApp, arguments: &[&str]) -> (i32, String) {
    let output = app.cli(arguments);
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}
