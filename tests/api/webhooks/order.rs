//! The order of events.

use rstest::rstest;

use super::scene::Scene;
use crate::support::{
    ACCEPTED, FAILED, Receiver, RedisServer, Store, TestApp, WEBHOOK_SECRET, claims, wait_longer, wait_until,
};

/// The receiver fails once at every event of one user. The user's events still arrive in their order, and the events of
/// another user do not wait for them.
#[rstest]
fn the_events_of_a_user_arrive_in_their_order(#[values(Store::Redis, Store::Embedded)] store: Store) {
    let tries = std::sync::Mutex::new(std::collections::HashMap::new());
    let receiver = Receiver::deciding(move |hook| {
        let mut tries = tries.lock().unwrap();
        let count = tries.entry(hook.id().to_owned()).or_insert(0);
        *count += 1;
        if *count > 1 || hook.body.contains("198.51.100.7") {
            return ACCEPTED;
        }
        FAILED
    });
    let scene = Scene::new(store);
    let count = if store == Store::Redis { 3 } else { 1 };
    let apps: Vec<_> = (0..count).map(|_| scene.start(&receiver, &[("TRUSTED_PROXIES", "127.0.0.1")])).collect();
    let email = apps[0].new_account();
    let sessions: Vec<_> =
        apps.iter().cycle().take(3).map(|app| claims(&app.session_of(&email).access_token)).collect();
    let other = apps[0].new_account();
    // Each event of the other user has this address, and the receiver accepts it at once.
    assert_eq!(apps[0].authenticate_from("198.51.100.7", &other, crate::support::PASSWORD).status, 200);
    wait_longer(60, "all events have arrived", || receiver.hooks().len() > 2 * (1 + 3) + 2);
    let hooks = receiver.hooks();
    let user_id = sessions[0]["sub"].as_str().unwrap();
    let of_user: Vec<_> = hooks.iter().filter(|hook| hook.user_id() == user_id).collect();
    let mut distinct: Vec<_> = of_user.iter().map(|hook| hook.event()).collect();
    distinct.dedup();
    let kinds: Vec<_> = distinct.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["signed_up", "signed_in", "signed_in", "signed_in"], "no event of the user is before its turn");
    let order: Vec<_> = distinct[1..].iter().map(|event| event["data"]["session_id"].clone()).collect();
    assert_eq!(order, sessions.iter().map(|claims| claims["sid"].clone()).collect::<Vec<_>>());
    let position = |wanted: &dyn Fn(&crate::support::Hook) -> bool| hooks.iter().position(wanted).unwrap();
    let others_end = position(&|hook| hook.body.contains("198.51.100.7"));
    let users_end = hooks.iter().rposition(|hook| hook.user_id() == user_id).unwrap();
    assert!(others_end < users_end, "the other user has waited");
}

/// More events of one user wait than the server has lines. Somebody who signs in all the time can cause them.
#[test]
fn a_long_line_of_one_user_delays_no_other() {
    let receiver = Receiver::deciding(|hook| if hook.body == "{}" { FAILED } else { ACCEPTED });
    let redis = RedisServer::start(&[]);
    let add = "for _ = 1, 10500 do redis.call('XADD', KEYS[1], '*', 'id', ARGV[1], 'user', ARGV[2], 'body', '{}') end";
    let (id, user) = ("Zx3Vn0pHq9c2tL8yWm4KdA", "7f0c0000-0000-4000-8000-000000000000");
    let () = redis.command(&["EVAL", add, "1", "as:webhooks", id, user]);
    let url = receiver.url();
    let settings = [("WEBHOOK_URL", &*url), ("WEBHOOK_SECRET", WEBHOOK_SECRET), ("WEBHOOK_ALLOW_PRIVATE", "on")];
    let app = TestApp::start_on(&redis.url(), &settings);
    app.new_account();
    wait_longer(30, "the other user's event has arrived", || {
        receiver.hooks().iter().any(|hook| hook.body.contains("signed_up"))
    });
    wait_until("only the events of the line wait", || redis.command::<u64>(&["XLEN", "as:webhooks"]) == 10_500);
}

#[test]
fn one_replica_delivers_each_event_once() {
    let receiver = Receiver::start();
    let scene = Scene::new(Store::Redis);
    let apps: Vec<_> = (0..3).map(|_| scene.start(&receiver, &[])).collect();
    let emails: Vec<_> = apps.iter().map(crate::support::TestApp::new_account).collect();
    for app in &apps {
        for email in &emails {
            app.session_of(email);
        }
    }
    let hooks = receiver.wait_for(12);
    wait_longer(10, "the outbox is empty", || apps.iter().all(|app| app.metric("webhook_outbox_length") == Some(0.0)));
    let ids: std::collections::HashSet<_> = hooks.iter().map(|hook| hook.id().to_owned()).collect();
    assert_eq!((receiver.hooks().len(), ids.len()), (12, 12));
    let delivered: Vec<_> = apps.iter().map(|app| app.metric("webhooks_delivered_total").unwrap()).collect();
    assert_eq!(delivered.iter().filter(|count| **count > 0.0).count(), 1, "{delivered:?}");
}
