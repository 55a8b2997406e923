//! An SMTP server that is away, then refuses all mails, and then takes them.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    site::site_of,
    support::{Mailbox, PASSWORD, Store::Embedded, TestApp, free_port, load::post, unique_email},
    traffic::Traffic,
};

#[test]
fn mails_cannot_be_sent() {
    let port = free_port();
    let url = format!("smtp://127.0.0.1:{port}");
    let settings = [
        ("SMTP_URL", &*url),
        ("SMTP_FROM", "no-reply@example.com"),
        ("PUBLIC_URL", "https://app.example.com"),
        ("EMAIL_VERIFICATION", "optional"),
        ("MAIL_LIMIT_PER_HOUR", "0"),
    ];
    let (mut site, apps) = site_of(1, &settings, |settings| TestApp::start_with(Embedded, settings));
    let since = Instant::now();
    let app_port = apps[0].port();
    let _traffic = Traffic::of(1, Duration::from_millis(300), move |_| {
        let _ = post(app_port, "/signup", &json!({"email": unique_email(), "password": PASSWORD}));
    });
    site.expect("the SMTP server is away", since, &["AuthServiceMailsFail"]);
    let since = Instant::now();
    let mailbox = Mailbox::start_at(port);
    mailbox.refuse(true);
    site.expect("the SMTP server refuses all mails", since, &["AuthServiceMailsLost"]);
    let since = Instant::now();
    mailbox.refuse(false);
    site.expect_peace("the SMTP server takes mails", since);
}
