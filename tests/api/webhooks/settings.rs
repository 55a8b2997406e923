//! The settings of webhooks, and the command that makes a secret.

use crate::support::{Store, TestApp, WEBHOOK_SECRET, assert_says, refused};

#[test]
fn wrong_settings_of_webhooks_are_named_and_not_shown() {
    let secret = ("WEBHOOK_SECRET", WEBHOOK_SECRET);
    for (url, rest) in [
        ("planted", "WEBHOOK_URL must be a URL"),
        ("http://planted.example/", "WEBHOOK_URL must begin with https://"),
        ("https://planted@example.com/", "WEBHOOK_URL must have no user name"),
        ("https://127.0.0.1/planted", "WEBHOOK_URL must not lead to a private network"),
        ("https://[::ffff:169.254.169.254]/planted", "WEBHOOK_URL must not lead to a private network"),
    ] {
        assert_says(&refused(&[("WEBHOOK_URL", url), secret]), &[rest]);
    }
    let url = ("WEBHOOK_URL", "https://example.com/planted");
    assert_says(&refused(&[url]), &["WEBHOOK_SECRET must be set, because WEBHOOK_URL is set"]);
    assert_says(&refused(&[url, ("WEBHOOK_SECRET", "planted")]), &["WEBHOOK_SECRET must be whsec_"]);
    let more = [url, secret, ("WEBHOOK_GIVE_UP_SECONDS", "0"), ("WEBHOOK_ALLOW_PRIVATE", "yes")];
    assert_says(
        &refused(&more),
        &["WEBHOOK_GIVE_UP_SECONDS must be a whole number", "WEBHOOK_ALLOW_PRIVATE must be one of: on, off"],
    );
}

#[test]
fn a_new_secret_is_a_line_for_the_settings() {
    let app = TestApp::start_with(Store::Embedded, &[]);
    let output = app.cli(&["secrets", "webhook"]);
    let line = String::from_utf8(output.stdout).unwrap();
    let secret = line.trim_end().strip_prefix("WEBHOOK_SECRET=").unwrap();
    let json: serde_json::Value = serde_json::from_slice(&app.cli(&["secrets", "webhook", "--json"]).stdout).unwrap();
    assert_ne!(json["WEBHOOK_SECRET"], secret);
    // The server accepts the secret, and complains only about the URL.
    let said = refused(&[("WEBHOOK_URL", "http://example.com/"), ("WEBHOOK_SECRET", secret)]);
    assert!(!said.contains("WEBHOOK_SECRET"), "{said}");
}
