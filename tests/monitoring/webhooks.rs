//! A receiver of webhooks that is away, and an outbox that takes no events.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    site::site_of,
    support::{PASSWORD, Receiver, RedisServer, TestApp, WEBHOOK_SECRET, free_port, load::post, unique_email},
    traffic::Traffic,
};

#[test]
fn webhooks_cannot_be_delivered() {
    let (redis, port) = (RedisServer::start(&[]), free_port());
    let url = format!("http://127.0.0.1:{port}/");
    let settings = [
        ("WEBHOOK_URL", &*url),
        ("WEBHOOK_SECRET", WEBHOOK_SECRET),
        ("WEBHOOK_ALLOW_PRIVATE", "on"),
        ("WEBHOOK_GIVE_UP_SECONDS", "75"),
        ("REQUEST_TIMEOUT_SECONDS", "5"),
    ];
    let (mut site, apps) = site_of(2, &settings, |settings| TestApp::start_on(&redis.url(), settings));
    let since = Instant::now();
    let app_port = apps[0].port();
    let _traffic = Traffic::of(1, Duration::from_secs(1), move |_| {
        let _ = post(app_port, "/signup", &json!({"email": unique_email(), "password": PASSWORD}));
    });
    site.expect("the receiver is away", since, &["AuthServiceWebhooksLate", "AuthServiceWebhooksDead"]);
    let since = Instant::now();
    let receiver = Receiver::at(port);
    site.expect_peace("the receiver is back", since);
    assert!(!receiver.hooks().is_empty());
    let since = Instant::now();
    let () = redis.command(&["SET", "as:webhooks", "not a stream"]);
    site.may_fire(&["AuthServiceErrors"]);
    site.expect("the outbox takes no events", since, &["AuthServiceWebhooksLost"]);
    let since = Instant::now();
    let () = redis.command(&["DEL", "as:webhooks"]);
    site.expect_peace("the outbox takes events", since);
}
