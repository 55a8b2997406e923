//! A running server whose SMTP server is silent.

use std::net::TcpListener;

use serde_json::json;

use crate::support::{METRICS, Store, TestApp};

#[test]
fn a_silent_smtp_server_delays_no_request_and_no_stop_and_its_mails_are_in_the_log() {
    // The system accepts the connections, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://user:planted@{}", silent.local_addr().unwrap());
    let settings = [
        METRICS,
        ("SMTP_URL", &*url),
        ("SMTP_FROM", "no-reply@example.com"),
        ("PUBLIC_URL", "https://app.example.com"),
        ("SHUTDOWN_DELAY_SECONDS", "0"),
        ("SHUTDOWN_TIMEOUT_SECONDS", "2"),
        ("RUST_LOG", "trace"),
    ];
    let mut app = TestApp::start_with(Store::Embedded, &settings);
    let email = app.new_account();
    let answer = app.send(
        "POST",
        "/password/forgot",
        &[("X-Request-Id", "the-request")],
        Some(&json!({"email": email}).to_string()),
    );
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(app.metric("mails_queued"), Some(1.0));
    app.terminate();
    assert!(app.wait().success(), "{}", app.output());
    let lost = app
        .log()
        .into_iter()
        .find(|line| line["message"].as_str().is_some_and(|text| text.starts_with("a mail is lost")))
        .unwrap();
    assert_eq!(
        (&lost["kind"], &lost["reason"], &lost["request_id"]),
        (&json!("reset_password"), &json!("stopped"), &json!("the-request"))
    );
    let output = app.output();
    for secret in ["planted", &email, "#token="] {
        assert!(!output.contains(secret), "{secret}: {output}");
    }
    let words = output.split(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c));
    let tokens: Vec<_> = words.filter(|word| word.starts_with("reset_") && word.len() > 60).collect();
    assert!(tokens.is_empty(), "{tokens:?}");
}
