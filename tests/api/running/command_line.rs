//! The command line: the output of each command for people and for programs, and its exit code.

use std::{
    fs,
    net::TcpListener,
    time::{Duration, Instant},
};

use rstest::rstest;
use serde_json::json;

use super::printed::{assert_fails, assert_json, assert_line, text};
use crate::support::{
    PASSWORD, RedisServer,
    Store::{self, Embedded, Redis},
    TestApp, command, free_port, unique_email, wait_until,
};

#[rstest]
fn tokens_revoke_ends_all_tokens_of_the_user(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (ada, bob) = (app.new_session(), app.new_session());
    let second = app.session_of(&ada.email);
    let app = app.aside(store);
    let upper = ada.email.to_uppercase();
    assert_line(&app.cli(&["tokens", "revoke", &upper]), 0, &format!("All tokens of {upper} are removed"));
    let none = |arguments: &[&str]| app.cli(arguments);
    for email in [ada.email.clone(), unique_email()] {
        let sentence = format!("{email} has no tokens");
        assert_fails(none, &["tokens", "revoke", &email], 1, "token_not_found", &sentence);
    }
    let app = app.back(store);
    for session in [&ada, &second] {
        app.current_user(&session.access_token).assert_error(401, "invalid_token");
        app.refresh_access_token(&session.refresh_token).assert_error(404, "token_not_found");
    }
    assert_eq!(app.current_user(&bob.access_token).status, 200);
    // Commands work without a running server.
    let mut app = app;
    app.kill();
    let output = app.cli(&["--json", "tokens", "revoke", &bob.email]);
    assert_json(&output, 0, &json!({"result": "tokens_removed", "email": bob.email}));
    app.restart().current_user(&bob.access_token).assert_error(401, "invalid_token");
}

#[rstest]
fn user_show_prints_the_account(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let mut data = app.current_user(&session.access_token).json()["data"].clone();
    data["email_verified"] = json!(false);
    let app = app.aside(store);
    let line = format!(
        "{} id {} created {}",
        session.email,
        data["id"].as_str().unwrap(),
        data["created_at"].as_str().unwrap()
    );
    assert_line(&app.cli(&["user", "show", &session.email]), 0, &line);
    assert_json(&app.cli(&["user", "show", &session.email.to_uppercase(), "--json"]), 0, &data);
    let nobody = unique_email();
    let sentence = format!("there is no account {nobody}");
    assert_fails(|arguments| app.cli(arguments), &["user", "show", &nobody], 1, "user_not_found", &sentence);
}

#[rstest]
fn user_delete_removes_the_account_and_its_tokens(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (ada, bob) = (app.new_session(), app.new_session());
    let app = app.aside(store);
    let line = format!("The account {} and all its tokens are deleted", ada.email);
    assert_line(&app.cli(&["user", "delete", &ada.email]), 0, &line);
    let sentence = format!("there is no account {}", ada.email);
    assert_fails(|arguments| app.cli(arguments), &["user", "delete", &ada.email], 1, "user_not_found", &sentence);
    let output = app.cli(&["user", "delete", &bob.email, "--json"]);
    assert_json(&output, 0, &json!({"result": "user_deleted", "email": bob.email}));
    let app = app.back(store);
    for session in [&ada, &bob] {
        app.authenticate(&session.email, PASSWORD).assert_error(401, "invalid_credentials");
        app.current_user(&session.access_token).assert_error(401, "invalid_token");
        app.refresh_access_token(&session.refresh_token).assert_error(404, "token_not_found");
    }
    // The old tokens must not work for the next account with this email.
    assert_eq!(app.sign_up(&ada.email, PASSWORD).status, 201);
    assert_eq!(app.current_user(&app.session_of(&ada.email).access_token).status, 200);
    app.current_user(&ada.access_token).assert_error(401, "invalid_token");
}

#[rstest]
fn commands_on_an_invalid_email_are_wrong_usage(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    for words in [["tokens", "revoke"], ["user", "show"], ["user", "delete"]] {
        for bad in ["nobody", "a@", ""] {
            let arguments = [&words[..], &[bad]].concat();
            let sentence = "EMAIL must be a valid email address, such as name@example.com";
            assert_fails(|arguments| app.cli(arguments), &arguments, 2, "wrong_usage", sentence);
        }
        let output = app.cli(&words);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains("<EMAIL>"), "{output:?}");
    }
}

#[test]
fn commands_say_that_a_running_server_holds_the_embedded_store() {
    let app = TestApp::start(Embedded);
    let session = app.new_session();
    for words in [["tokens", "revoke"], ["user", "show"], ["user", "delete"]] {
        let arguments = [&words[..], &[session.email.as_str()]].concat();
        let sentence = "is held by another process, probably a running server: stop it first";
        assert_fails(|arguments| app.cli(arguments), &arguments, 1, "store_not_opened", sentence);
    }
    assert_eq!(app.current_user(&session.access_token).status, 200);
}

#[test]
fn commands_make_no_store_where_there_is_none() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("there")).unwrap();
    for data_dir in ["there", "not-there"] {
        let settings = [("DATA_DIR".to_owned(), data_dir.to_owned())].into();
        let run = |arguments: &[&str]| command(directory.path(), &settings).args(arguments).output().unwrap();
        let sentence = format!("there is no embedded store in {data_dir}; set DATA_DIR, or REDIS_URL for Redis");
        assert_fails(run, &["user", "show", "a@b.example"], 2, "wrong_usage", &sentence);
    }
    assert_eq!(fs::read_dir(directory.path().join("there")).unwrap().count(), 0);
    assert!(!directory.path().join("not-there").exists());
}

#[test]
fn commands_say_within_seconds_that_redis_is_away() {
    let mut redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    let assert_away = |app: &TestApp| {
        for words in [["tokens", "revoke"], ["user", "show"], ["user", "delete"]] {
            let arguments = [&words[..], &[session.email.as_str()]].concat();
            let start = Instant::now();
            let sentence = "cannot be reached";
            assert_fails(|arguments| app.cli(arguments), &arguments, 1, "store_unreachable", sentence);
            assert!(start.elapsed() < Duration::from_secs(10), "two runs took {:?}", start.elapsed());
        }
    };
    redis.freeze();
    assert_away(&app);
    redis.thaw();
    redis.kill();
    assert_away(&app);
}

#[test]
fn health_is_0_when_ready_and_1_when_nobody_answers() {
    let mut app = TestApp::start(Embedded);
    let port = app.port().to_string();
    assert_line(&app.cli(&["health", "--port", &port]), 0, "The server is ready");
    assert_json(&app.cli(&["health", "--port", &port, "--json"]), 0, &json!({"result": "ready"}));
    let every = app.cli(&["--host", "0.0.0.0", "--port", &port, "health"]);
    assert_line(&every, 0, "The server is ready");
    app.kill();
    let sentence = format!("no answer from 127.0.0.1 port {port}: Connection refused");
    assert_fails(|a| app.cli(a), &["health", "--port", &port], 1, "server_unreachable", &sentence);
    // A server that accepts connections and never answers.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let start = Instant::now();
    assert_fails(|a| app.cli(a), &["health", "--port", &port], 1, "server_unreachable", "no answer from");
    assert!(start.elapsed() < Duration::from_secs(15));
    assert_fails(|a| app.cli(a), &["health", "--port", "x"], 2, "wrong_usage", "PORT must be a whole number");
}

#[test]
fn health_is_1_while_redis_is_away() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let app = TestApp::start_on(&url, &[]);
    let port = app.port().to_string();
    let sentence = "the server is not ready: it answered 503";
    assert_fails(|a| app.cli(a), &["health", "--port", &port], 1, "not_ready", sentence);
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let port = app.port().to_string();
    let health = || app.cli(&["health", "--port", &port]).status.code();
    assert_eq!(health(), Some(0));
    app.terminate();
    // `health` fails from the beginning of the shutdown on, and after the server has ended.
    wait_until("the server is no longer ready", || health() == Some(1));
}
