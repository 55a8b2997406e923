//! What Redis, the log and the answers show of tokens, and whether an account exists.

use super::scene::{NEW_PASSWORD, Scene, with_mail};
use crate::support::{Answer, Mailbox, Monitor, PASSWORD, RedisServer, TestApp, tag, unique_email};

const HOUR: i64 = 3_600;

/// A server on a Redis of its own, whose values a test can search.
fn scene_on(redis: &RedisServer, settings: &[(&str, &str)]) -> Scene {
    let mailbox = Mailbox::start();
    let app = TestApp::start_on(&redis.url(), &with_mail(&mailbox.url(), settings));
    Scene { app, mailbox }
}

#[test]
fn redis_and_the_log_have_no_token() {
    let redis = RedisServer::start(&["--rdbcompression", "no"]);
    let scene = scene_on(&redis, &[("EMAIL_VERIFICATION", "optional")]);
    let app = &scene.app;
    let (session, new) = (app.new_session(), unique_email());
    let verify = scene.token("verify", &session.email);
    let change = scene.change_token(&session.access_token, &new, PASSWORD);
    let reset = scene.reset_token(&session.email);
    let key = |kind: &str| format!("as:{{{}}}:p:{kind}", tag(&session.email));
    for (kind, hours) in [("reset", 1), ("verify", 24), ("change", 1)] {
        redis.assert_life(&key(kind), hours * HOUR);
    }
    let secrets = [&reset, &verify, &change].map(|token| token.split_at(token.find('_').unwrap() + 23).1);
    for key in redis.keys() {
        for secret in secrets {
            assert!(!key.contains(secret) && !redis.holds(&key, secret), "{key}");
        }
    }
    assert_eq!(app.verify_email(&verify).status, 200);
    assert_eq!(redis.life(&key("verify")), -2, "a spent entry is gone");
    assert_eq!(app.reset_password(&reset, NEW_PASSWORD).status, 200);
    let left: Vec<_> = redis.keys().into_iter().filter(|key| key.contains(":p:")).collect();
    assert!(left.is_empty(), "{left:?}");
    app.verify_email(&change).assert_error(400, "invalid_mail_token");
    let output = app.output();
    for secret in secrets.into_iter().chain([&*session.email, &new, NEW_PASSWORD]) {
        assert!(!output.contains(secret), "the log has {secret}");
    }
}

/// The headers that every request has of its own.
fn without_own_headers(answer: &Answer) -> Vec<(String, String)> {
    let own = ["x-request-id", "date", "access-token"];
    answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str())).cloned().collect()
}

/// The commands for these accounts, in their order, without what differs by chance.
fn commands_for(commands: &[Vec<String>], emails: &[&str]) -> Vec<String> {
    let tags: Vec<_> = emails.iter().map(|email| tag(email)).collect();
    let named = |word: &str| {
        let n = tags.iter().position(|tag| word.contains(tag.as_str()))?;
        let word = word.replace(&tags[n], &format!("account {n}"));
        // The ids of sessions and addresses have the length of a tag.
        Some(word.split(':').filter(|part| part.len() != tags[n].len()).collect::<Vec<_>>().join(":"))
    };
    let keys = |words: &Vec<String>| {
        let keys: Vec<_> = words.iter().filter_map(|word| named(word)).collect();
        (!keys.is_empty()).then(|| format!("{} {}", words[0], keys.join(" ")))
    };
    commands.iter().filter_map(keys).collect()
}

/// Nobody learns from an answer or from the work behind it whether an email has an account.
#[test]
fn an_unknown_email_causes_the_same_answer_and_the_same_commands() {
    let redis = RedisServer::start(&[]);
    // A sign-up would send a link, which counts for the mailbox.
    let scene = scene_on(&redis, &[]);
    let app = &scene.app;
    let (known, unknown, taken, free) = (app.new_account(), unique_email(), app.new_account(), unique_email());
    let sessions = [app.new_session(), app.new_session()];
    // Redis has the scripts from now on, so both requests send the same commands.
    let other = app.new_session();
    assert_eq!(app.forgot_password(&other.email).status, 202);
    assert_eq!(app.change_email(&other.access_token, &unique_email(), PASSWORD).status, 202);
    let monitor = Monitor::start(&redis);
    let watch = |marker: &str, send: &dyn Fn() -> Answer| {
        let start = format!("start of {marker}");
        let _: String = redis.command(&["ECHO", &start]);
        monitor.until(&start);
        let answer = send();
        let _: String = redis.command(&["ECHO", marker]);
        (answer, monitor.until(marker))
    };
    let assert_same = |(one, of_one): (Answer, Vec<String>), (other, of_other): (Answer, Vec<String>)| {
        assert_eq!((one.status, &one.body), (202, &other.body));
        assert_eq!((one.status, without_own_headers(&one)), (other.status, without_own_headers(&other)));
        assert!(of_one.len() >= 3, "{of_one:?}");
        assert_eq!(of_one, of_other);
    };
    let forgot = |email: &str| {
        let (answer, commands) = watch(email, &|| app.forgot_password(email));
        (answer, commands_for(&commands, &[email]))
    };
    assert_same(forgot(&known), forgot(&unknown));
    let change = |n: usize, email: &str| {
        let session = &sessions[n];
        let (answer, commands) = watch(email, &|| app.change_email(&session.access_token, email, PASSWORD));
        (answer, commands_for(&commands, &[&session.email, email]))
    };
    assert_same(change(0, &taken), change(1, &free));
    let entry = |email: &str| redis.life(&format!("as:{{{}}}:p:reset", tag(email)));
    assert!((entry(&known) - entry(&unknown)).abs() < 10_000);
    // The mail itself is the only difference.
    scene.token("reset", &known);
    assert_eq!(scene.mailbox.count(&unknown), 0);
}
