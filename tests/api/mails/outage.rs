//! The routes by mail while Redis is away or takes no writes.

use super::scene::{NEW_PASSWORD, Scene, with_mail};
use crate::support::{Answer, Mailbox, PASSWORD, RedisServer, TestApp, unique_email, wait_until};

/// A user with one token of each kind that the routes take.
struct User {
    access_token: String,
    reset: String,
    change: String,
}

impl User {
    fn new(scene: &Scene) -> Self {
        let session = scene.app.new_session();
        let change = scene.change_token(&session.access_token, &unique_email(), PASSWORD);
        let reset = scene.reset_token(&session.email);
        Self { access_token: session.access_token, reset, change }
    }

    /// The answers to requests for a mail.
    fn ask(&self, app: &TestApp) -> [Answer; 3] {
        [
            app.forgot_password(&unique_email()),
            app.request_email_verification(&self.access_token),
            app.change_email(&self.access_token, &unique_email(), PASSWORD),
        ]
    }

    /// The answers to the tokens.
    fn confirm(&self, app: &TestApp) -> [Answer; 2] {
        [app.reset_password(&self.reset, NEW_PASSWORD), app.verify_email(&self.change)]
    }
}

/// A failure of the store is never a wrong token, and spends no token.
#[test]
fn a_store_that_takes_no_writes_is_503_and_spends_no_token() {
    let (mut redis, mailbox) =
        (RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]), Mailbox::start());
    let app = TestApp::start_on(&redis.url(), &with_mail(&mailbox.url(), &[]));
    let scene = Scene { app, mailbox };
    let (first, second) = (User::new(&scene), User::new(&scene));
    let app = &scene.app;
    let set = |name: &str, value: &str| redis.command::<()>(&["CONFIG", "SET", name, value]);
    set("maxmemory", "1");
    for answer in first.ask(app) {
        answer.assert_error(503, "store_out_of_memory");
    }
    set("maxmemory", "0");
    set("min-replicas-to-write", "1");
    for answer in first.ask(app).into_iter().chain(first.confirm(app)) {
        answer.assert_error(503, "store_not_replicated");
    }
    set("min-replicas-to-write", "0");
    redis.kill();
    wait_until("the server notices the outage", || app.send("GET", "/readyz", &[], None).status == 503);
    for answer in first.ask(app).into_iter().chain(first.confirm(app)) {
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    redis.restart();
    // Each worker has a connection of its own, which may be back later than that of another worker.
    let done = |answer: &Answer| {
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        answer.status == 200
    };
    wait_until("the token resets the password", || done(&app.reset_password(&first.reset, NEW_PASSWORD)));
    wait_until("the token changes the email", || done(&app.verify_email(&second.change)));
}
