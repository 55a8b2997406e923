//! A server that dies in the middle of a change.

use std::collections::BTreeMap;

use serde_json::json;

use super::scene::{Scene, assert_wrong_token, with_mail};
use crate::support::{
    Connection, JSON, Mailbox, Monitor, PASSWORD, RedisServer, Session, TestApp, claims, raw, tag, unique_email,
};

/// An account that is signed in, and a token that changes its email.
struct Moving {
    session: Session,
    new: String,
    token: String,
}

impl Moving {
    fn new(scene: &Scene) -> Self {
        let (session, new) = (scene.app.new_session(), unique_email());
        let token = scene.change_token(&session.access_token, &new, PASSWORD);
        Self { session, new, token }
    }

    /// Whether a command is about one of the two emails.
    fn is_about(&self, words: &[String]) -> bool {
        let tags = [tag(&self.session.email), tag(&self.new)];
        words.iter().any(|word| tags.iter().any(|tag| word.contains(tag)))
    }

    /// Asserts that there is one account, at one of the two emails. Returns whether it is at the new one.
    #[track_caller]
    fn assert_one_account(&self, app: &TestApp) -> bool {
        let old = &self.session.email;
        let answers = [old, &self.new].map(|email| app.authenticate(email, PASSWORD));
        let [at_old, at_new] = answers.map(|answer| (answer.status == 200).then(|| Session::of("", &answer)));
        let sub = |session: &Session| claims(&session.access_token)["sub"].clone();
        match (&at_old, &at_new) {
            (Some(session), None) | (None, Some(session)) => assert_eq!(sub(session), sub(&self.session)),
            both => panic!("the account is at both emails or at none: {both:?}"),
        }
        at_new.is_some()
    }
}

/// The next reader of either email completes the change, or finds that nothing has happened.
#[test]
fn a_server_that_dies_in_a_change_leaves_nothing_half_done() {
    let (redis, mailbox) = (RedisServer::start(&[]), Mailbox::start());
    let url = mailbox.url();
    let settings = with_mail(&url, &[]);
    let scene = Scene { app: TestApp::start_on(&redis.url(), &settings), mailbox };
    // Redis has the scripts from now on, so all further changes send the same commands.
    assert_eq!(scene.app.verify_email(&Moving::new(&scene).token).status, 200);
    let whole = Moving::new(&scene);
    let monitor = Monitor::start(&redis);
    assert_eq!(scene.app.verify_email(&whole.token).status, 200);
    let _: String = redis.command(&["ECHO", "end"]);
    let commands = monitor.until("end").iter().filter(|words| whole.is_about(words)).count();
    assert!(commands >= 5, "{commands}");
    let mut outcomes = BTreeMap::<_, usize>::new();
    for count in 1..=commands {
        let mut victim = TestApp::start_on(&redis.url(), &settings);
        let moving = Moving::new(&scene);
        let monitor = Monitor::start(&redis);
        let body = json!({"token": moving.token}).to_string();
        let mut connection = Connection::open(victim.port());
        connection.write(&raw::request("POST", "/email/verify", &[JSON], Some(&body))).unwrap();
        monitor.wait_for_commands(count, |words| moving.is_about(words));
        victim.kill();
        let has_answered = connection.read().is_some_and(|answer| answer.status == 200);
        let has_moved = moving.assert_one_account(&scene.app);
        assert!(has_moved || !has_answered, "an acknowledged change is lost");
        *outcomes.entry((has_moved, has_answered)).or_default() += 1;
        if has_moved {
            assert_wrong_token(&scene.app.verify_email(&moving.token));
        } else {
            assert_eq!(scene.app.verify_email(&moving.token).status, 200);
            assert!(moving.assert_one_account(&scene.app));
        }
        // Of the old email, only counts are left.
        let old = tag(&moving.session.email);
        let left: Vec<_> = redis.keys().into_iter().filter(|key| key.contains(&old)).collect();
        assert!(left.iter().all(|key| key.ends_with("}:n:o") || key.ends_with("}:f")), "{left:?}");
    }
    eprintln!("outcomes by (moved, answered) in {commands} rounds: {outcomes:?}");
}
