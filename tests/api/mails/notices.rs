//! The limit on notices to one mailbox.

use rstest::rstest;
use serde_json::Value;

use super::scene::{Scene, with_mail};
use crate::support::{
    Answer, Mailbox, PASSWORD, RedisServer,
    Store::{self, Embedded, Redis},
    TestApp, replicas, tag, text, unique_email, wait_until,
};

/// The number of notices that a mailbox gets in an hour.
const NOTICES: usize = 10;

/// The events in the audit trail of the request that got this answer.
fn events_of(app: &TestApp, answer: &Answer) -> Vec<Value> {
    let id = answer.header("x-request-id").unwrap();
    let lines = app.log().into_iter().filter(|line| line["target"] == "audit" && line["request_id"] == id);
    lines.map(|line| line["event"].clone()).collect()
}

/// Whoever signs up with the address of another person cannot flood the mailbox by changes of the account.
#[rstest]
fn a_mailbox_gets_only_so_many_notices(#[values(Redis, Embedded)] store: Store) {
    let mailbox = Mailbox::start();
    let url = mailbox.url();
    let replicas = replicas(store, &with_mail(&url, &[]));
    let app = |n: usize| &replicas[n % replicas.len()];
    let session = app(0).new_session();
    for n in 1..NOTICES {
        assert_eq!(app(n).change_email(&session.access_token, &unique_email(), PASSWORD).status, 202);
    }
    let change = |n: usize, token: &str| app(n).change_password(token, PASSWORD, PASSWORD);
    let told = change(0, &session.access_token);
    assert_eq!(told.status, 200, "{told:?}");
    (0..NOTICES).for_each(|_| drop(mailbox.wait_for(&session.email)));
    // The change goes on without its notice.
    let untold = change(1, &text(&told, "access_token"));
    assert_eq!(untold.status, 200, "{untold:?}");
    wait_until("the audit trail tells of the notice that is left out", || {
        events_of(app(1), &untold) == ["throttled", "password_changed"]
    });
    // Without the notice, there is no link either.
    let new = unique_email();
    assert_eq!(app(2).change_email(&text(&untold, "access_token"), &new, PASSWORD).status, 202);
    // A mail to another mailbox shows that all earlier mails have arrived.
    let other = app(0).new_account();
    assert_eq!(app(0).forgot_password(&other).status, 202);
    mailbox.wait_for(&other);
    assert_eq!((mailbox.count(&session.email), mailbox.count(&new)), (NOTICES, 0));
}

/// A change has happened before its notice is counted, so a failure of the count must not be its answer.
#[test]
fn a_notice_that_cannot_be_counted_fails_no_change() {
    let (redis, mailbox) = (RedisServer::start(&[]), Mailbox::start());
    let app = TestApp::start_on(&redis.url(), &with_mail(&mailbox.url(), &[]));
    let scene = Scene { app, mailbox };
    let session = scene.app.new_session();
    // Redis refuses to count in a list.
    let _: u64 = redis.command(&["LPUSH", &format!("as:{{{}}}:n:o", tag(&session.email)), "x"]);
    let changed = scene.app.change_password(&session.access_token, PASSWORD, PASSWORD);
    assert_eq!(changed.status, 200, "{changed:?}");
    scene.mailbox.wait_for(&session.email);
    wait_until("the log tells of the count", || {
        scene.app.log().iter().any(|line| line["message"] == "a notice could not be counted, so it is not limited")
    });
}
