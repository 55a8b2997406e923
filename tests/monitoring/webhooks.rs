//! A receiver of webhooks that is away, and an outbox that takes no events.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    prometheus::speed,
    site::{Site, site_of},
    support::{PASSWORD, Receiver, RedisServer, TestApp, WEBHOOK_SECRET, free_port, load::post, unique_email},
    traffic::Traffic,
};

/// Two replicas that send webhooks to this port, while a client signs up again and again.
fn replicas(redis: &RedisServer, port: u16, give_up_seconds: &str) -> (Site, Vec<TestApp>, Traffic) {
    let url = format!("http://127.0.0.1:{port}/");
    let settings = [
        ("WEBHOOK_URL", &*url),
        ("WEBHOOK_SECRET", WEBHOOK_SECRET),
        ("WEBHOOK_ALLOW_PRIVATE", "on"),
        ("WEBHOOK_GIVE_UP_SECONDS", give_up_seconds),
        ("REQUEST_TIMEOUT_SECONDS", "5"),
    ];
    let (site, apps) = site_of(2, &settings, |settings| TestApp::start_on(&redis.url(), settings));
    let app_port = apps[0].port();
    let traffic = Traffic::of(1, Duration::from_secs(1), move |_| {
        let _ = post(app_port, "/signup", &json!({"email": unique_email(), "password": PASSWORD}));
    });
    (site, apps, traffic)
}

#[test]
fn webhooks_cannot_be_delivered() {
    let (redis, port) = (RedisServer::start(&[]), free_port());
    // Longer than an event must wait until the first alert fires.
    let give_up = (60 / speed() + 600 / speed() + 10).to_string();
    let (mut site, _apps, _traffic) = replicas(&redis, port, &give_up);
    let since = Instant::now();
    site.expect("the receiver is away", since, &["AuthServiceWebhooksLate", "AuthServiceWebhooksDead"]);
    let since = Instant::now();
    let receiver = Receiver::at(port);
    site.expect_peace("the receiver is back", since);
    assert!(!receiver.hooks().is_empty());
}

#[test]
fn the_outbox_takes_no_events() {
    let (redis, port) = (RedisServer::start(&[]), free_port());
    let _receiver = Receiver::at(port);
    let (mut site, _apps, _traffic) = replicas(&redis, port, "60");
    let since = Instant::now();
    let () = redis.command(&["SET", "as:webhooks", "not a stream"]);
    site.may_fire(&["AuthServiceErrors"]);
    site.expect("the outbox takes no events", since, &["AuthServiceWebhooksLost"]);
    let since = Instant::now();
    let () = redis.command(&["DEL", "as:webhooks"]);
    site.expect_peace("the outbox takes events", since);
}
