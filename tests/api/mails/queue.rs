//! The queue of mails while the SMTP server is silent.

use std::net::TcpListener;

use serde_json::json;

use super::scene::with_mail;
use crate::support::{PASSWORD, RedisServer, TestApp, tag, unique_email, wait_until};

/// The number of mails that the queue holds.
const PLACES: usize = 1_000;
const LINKS: usize = 5;
/// The hash of some password, with parameters that take no time.
const HASH: &str =
    "$argon2id$v=19$m=64,t=1,p=2$TkZhS3I0N0MwcWo1djAzVVlJVU5UaA$XKis7k0maB4RFxIXTqPAjLJsF/ElD7lR7NNnU2si6RA";

/// Accounts that can cause as many mails as the queue holds.
fn many_accounts(app: &TestApp) -> Vec<String> {
    let name = unique_email();
    let emails: Vec<_> = (0..PLACES / LINKS).map(|n| format!("{n}.{name}")).collect();
    let lines = emails.iter().map(|email| format!("{}\n", json!({"email": email, "password_hash": HASH})));
    let output = app.cli_with_input(&["import", "-"], &lines.collect::<String>());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    emails
}

/// A request that cannot send its mail changes nothing. A sign-up goes on without its mail.
#[test]
fn a_full_queue_is_503_before_anything_changes() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", silent.local_addr().unwrap());
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &with_mail(&url, &[("EMAIL_VERIFICATION", "optional")]));
    let session = app.new_session();
    let emails = many_accounts(&app);
    let statuses = emails.iter().cycle().take(PLACES).map(|email| app.forgot_password(email).status);
    // The sign-up has taken the first place.
    assert_eq!(statuses.take_while(|status| *status == 202).count(), PLACES - 1);
    let (known, unknown) = (app.new_account(), unique_email());
    let answers = [app.forgot_password(&known), app.forgot_password(&unknown)];
    assert_eq!(answers[0].body, answers[1].body);
    for answer in answers {
        answer.assert_error(503, "overloaded");
    }
    app.request_email_verification(&session.access_token).assert_error(503, "overloaded");
    for password in [PASSWORD, "wrong horse"] {
        app.change_email(&session.access_token, &unique_email(), password).assert_error(503, "overloaded");
    }
    for email in [&known, &unknown] {
        let entries = redis.keys().into_iter().filter(|key| key.contains(&tag(email)) && key.contains(":p:"));
        assert_eq!(entries.count(), 0);
    }
    wait_until("the log has the link that was not sent", || {
        app.log().iter().any(|line| line["message"] == "a link that verifies an address was not sent")
    });
    // Requests that need no mail go on.
    session.assert_lives([&app]);
    assert_eq!(app.authenticate(&known, PASSWORD).status, 200);
}
