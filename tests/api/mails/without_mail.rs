//! Without a mail server, nothing changes.

use rstest::rstest;
use serde_json::json;

use super::scene::NEW_PASSWORD;
use crate::support::{
    PASSWORD,
    Store::{self, Embedded, Redis},
    TestApp, unique_email,
};

#[rstest]
fn every_route_by_mail_says_that_the_server_sends_no_mail(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let token = format!("reset_{}", "A".repeat(65));
    for answer in [
        app.forgot_password(&session.email),
        app.forgot_password(&unique_email()),
        app.reset_password(&token, NEW_PASSWORD),
        app.verify_email(&token),
        app.request_email_verification(&session.access_token),
        app.change_email(&session.access_token, &unique_email(), PASSWORD),
    ] {
        answer.assert_error(404, "mail_not_configured");
    }
    let profile = app.current_user(&session.access_token).json();
    let mut names: Vec<_> = profile["data"].as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(json!(names), json!(["created_at", "email", "id"]));
    session.assert_lives([&app]);
}
