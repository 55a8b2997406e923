//! No event is lost when the server, a replica or Redis dies.

use std::collections::HashSet;

use rstest::rstest;

use super::scene::Scene;
use crate::support::{
    ACCEPTED, PASSWORD, Receiver, RedisServer, Store, TestApp, free_port, not_beside_load, unique_email, wait_longer,
    wait_until,
};

#[rstest]
fn an_event_survives_the_death_of_the_server(#[values(Store::Redis, Store::Embedded)] store: Store) {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/");
    let app = Scene::new(store).start_with_url(&url, &[]);
    app.new_account();
    wait_until("the delivery fails", || app.metric(r#"webhook_failures_total{reason="unreachable"}"#).unwrap() > 0.0);
    assert_eq!(app.metric("webhook_outbox_length"), Some(1.0));
    assert!(app.metric("webhook_oldest_event_age_seconds").unwrap() > 0.0);
    let _app = app.kill_and_restart();
    let receiver = Receiver::at(port);
    wait_longer(60, "the event arrives", || receiver.kinds() == ["signed_up"]);
}

/// A replica that dies keeps the right to deliver for ten seconds. A replica that stops in order gives it up.
#[test]
fn another_replica_takes_over() {
    let receiver = Receiver::start();
    let scene = Scene::new(Store::Redis);
    let mut first = scene.start(&receiver, &[]);
    first.new_account();
    receiver.wait_for(1);
    let mut second = scene.start(&receiver, &[]);
    first.kill();
    second.new_account();
    receiver.wait_for(2);
    assert_eq!(second.metric("webhooks_delivered_total"), Some(1.0));
    let third = scene.start(&receiver, &[]);
    second.terminate();
    assert!(second.wait().success());
    third.new_account();
    let since = std::time::Instant::now();
    receiver.wait_for(3);
    assert!(since.elapsed().as_secs() < 5, "the lease was not given up");
}

/// The server waits for requests on their way to the receiver before it ends.
#[test]
fn a_stop_cuts_off_no_delivery() {
    let receiver = Receiver::deciding(|_| {
        std::thread::sleep(std::time::Duration::from_secs(1));
        ACCEPTED
    });
    let scene = Scene::new(Store::Embedded);
    let mut app = scene.start(&receiver, &[]);
    app.new_account();
    receiver.wait_for(1);
    app.terminate();
    assert!(app.wait().success());
    let app = app.restart();
    app.new_account();
    receiver.wait_for(2);
    let ids: HashSet<_> = receiver.hooks().iter().map(|hook| hook.id().to_owned()).collect();
    assert_eq!(ids.len(), 2, "the event of before the stop was delivered again");
}

/// Redis dies again and again, while users sign in. Each sign-in that was answered has its event.
#[test]
fn no_event_of_an_answered_request_is_lost_when_redis_dies() {
    let _turn = not_beside_load();
    let receiver = Receiver::start();
    let mut redis = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let settings = [
        ("WEBHOOK_URL", receiver.url()),
        ("WEBHOOK_SECRET", crate::support::WEBHOOK_SECRET.to_owned()),
        ("WEBHOOK_ALLOW_PRIVATE", "on".to_owned()),
    ];
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let app = TestApp::start_on(&redis.url(), &settings);
    let mut answered = Vec::new();
    for round in 0..3 {
        for _ in 0..8 {
            let email = unique_email();
            if app.sign_up(&email, PASSWORD).status == 201 {
                let answer = app.authenticate(&email, PASSWORD);
                if answer.status == 200 {
                    let sid = crate::support::claims(&crate::support::text(&answer, "access_token"))["sid"].clone();
                    answered.push(sid.as_str().unwrap().to_owned());
                }
            }
        }
        if round < 2 {
            redis.kill();
            app.sign_up(&unique_email(), PASSWORD).assert_error(503, "store_unreachable");
            redis.restart();
            wait_until("the server is ready", || app.send("GET", "/readyz", &[], None).status == 200);
        }
    }
    assert!(answered.len() > 12, "{answered:?}");
    wait_longer(60, "each sign-in has its event", || {
        let hooks = receiver.hooks();
        let sids: HashSet<_> =
            hooks.iter().filter_map(|hook| hook.event()["data"]["session_id"].as_str().map(str::to_owned)).collect();
        answered.iter().all(|sid| sids.contains(sid))
    });
}

/// A server whose requests wait three seconds for the outbox, and its Redis, whose outbox a test can break.
fn with_an_outbox_of_its_own() -> (Receiver, RedisServer, TestApp) {
    let (receiver, redis) = (Receiver::start(), RedisServer::start(&[]));
    let url = receiver.url();
    let settings = [
        ("WEBHOOK_URL", &*url),
        ("WEBHOOK_SECRET", crate::support::WEBHOOK_SECRET),
        ("WEBHOOK_ALLOW_PRIVATE", "on"),
        ("REQUEST_TIMEOUT_SECONDS", "3"),
    ];
    let app = TestApp::start_on(&redis.url(), &settings);
    (receiver, redis, app)
}

/// The change has happened, but the outbox does not take its event. The client gets an error, and the server keeps trying.
#[test]
fn an_event_that_the_outbox_refuses_at_first_arrives_later() {
    let (receiver, redis, app) = with_an_outbox_of_its_own();
    let () = redis.command(&["SET", "as:webhooks", "no stream"]);
    let email = unique_email();
    app.sign_up(&email, PASSWORD).assert_error(503, "deadline_exceeded");
    app.sign_up(&email, PASSWORD).assert_error(409, "email_taken");
    assert_eq!(receiver.hooks().len(), 0);
    let () = redis.command(&["DEL", "as:webhooks"]);
    receiver.wait_for(1);
    assert_eq!(receiver.kinds(), ["signed_up"]);
}

/// Whether or not a code is right, the answer is the same while the outbox takes no event. A wrong code stays counted.
#[test]
fn an_outbox_that_refuses_events_helps_nobody_to_guess_codes() {
    let (receiver, redis, app) = with_an_outbox_of_its_own();
    let (session, authenticator) = app.account_with_totp();
    let (wrong, mfa_token) = (authenticator.wrong_code(), app.mfa_token(&session.email));
    let failures = || -> u64 {
        let keys = redis.keys().into_iter().filter(|key| key.contains("}:f"));
        keys.filter_map(|key| redis.command::<Option<u64>>(&["HGET", &key, "n"])).sum()
    };
    wait_until("the outbox is empty", || receiver.kinds().last().is_some_and(|kind| kind == "second_factor_required"));
    let before = failures();
    let () = redis.command(&["SET", "as:webhooks", "no stream"]);
    std::thread::scope(|scope| {
        scope.spawn(|| app.authenticate_totp(&mfa_token, &wrong).assert_error(503, "deadline_exceeded"));
        scope.spawn(|| {
            let answer = app.remove_totp(&session.access_token, PASSWORD, &wrong);
            answer.assert_error(503, "deadline_exceeded");
        });
    });
    assert_eq!(failures(), before + 2);
    app.authenticate_totp(&mfa_token, authenticator.recovery_code()).assert_error(503, "deadline_exceeded");
    assert_eq!(failures(), 0, "a right code resets the failures");
    let () = redis.command(&["DEL", "as:webhooks"]);
    let failed = || receiver.kinds().iter().filter(|kind| *kind == "second_factor_failed").count();
    wait_longer(20, "the events arrive", || failed() as u64 == before + 2);
}
