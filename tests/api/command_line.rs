//! The command line: what each command prints, for people and for programs, and how it exits.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    process::Output,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    app::{ACCESS_SECRET, PASSWORD, REFRESH_SECRET, TestApp, command, unique_email},
    redis_server::{RedisServer, free_port, wait_until},
    runner::Store,
    suite,
};

suite! {
    every_store: [
        tokens_revoke_ends_all_tokens_of_the_user,
        user_show_prints_the_account,
        user_delete_removes_the_account_and_its_tokens,
        commands_on_an_email_that_is_none_are_wrong_usage,
    ]
    redis: [
        commands_say_within_seconds_that_redis_is_away,
        health_is_1_while_redis_is_away,
    ]
    plain: [
        commands_say_that_a_running_server_holds_the_embedded_store,
        commands_make_no_store_where_there_is_none,
        secrets_generate_makes_two_secrets_that_the_server_accepts,
        health_is_0_when_ready_and_1_when_nobody_answers,
        wrong_usage_exits_2,
        wrong_settings_of_a_command_are_told_as_json_too,
        help_with_examples_and_version_are_everywhere,
    ]
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Exit code, and standard output as one line for people or as one JSON object.
#[track_caller]
fn assert_line(output: &Output, code: i32, line: &str) {
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(code), format!("{line}\n").as_str()), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[track_caller]
fn assert_json(output: &Output, code: i32, expected: &Value) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(text(&output.stdout).lines().count(), 1, "{output:?}");
    assert_eq!(&serde_json::from_slice::<Value>(&output.stdout).unwrap(), expected, "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

/// A failure: for people one line on standard error, for programs the same sentence as JSON on standard output.
#[track_caller]
fn assert_fails(run: impl Fn(&[&str]) -> Output, arguments: &[&str], code: i32, name: &str, sentence: &str) {
    let output = run(arguments);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(code), ""), "{output:?}");
    let line = text(&output.stderr);
    assert!(line.starts_with("auth-service: ") && line.contains(sentence), "{output:?}");
    assert_eq!(line.lines().count(), 1, "{output:?}");
    let output = run(&[arguments, &["--json"]].concat());
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(code), ""), "{output:?}");
    let body: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(body["code"], name, "{output:?}");
    assert!(body["error"].as_str().unwrap().contains(sentence), "{output:?}");
}

/// Where a command may work: on the embedded store only while no server runs.
fn aside(mut app: TestApp, store: Store) -> TestApp {
    if store == Store::Embedded {
        app.kill();
    }
    app
}

fn back(app: TestApp, store: Store) -> TestApp {
    if store == Store::Embedded { app.restart() } else { app }
}

fn tokens_revoke_ends_all_tokens_of_the_user(store: Store) {
    let app = TestApp::start(store);
    let (ada, bob) = (app.new_session(), app.new_session());
    let second = app.session_of(&ada.email);
    let app = aside(app, store);
    let upper = ada.email.to_uppercase();
    assert_line(&app.cli(&["tokens", "revoke", &upper]), 0, &format!("All tokens of {upper} are removed"));
    let none = |arguments: &[&str]| app.cli(arguments);
    for email in [ada.email.clone(), unique_email()] {
        let sentence = format!("{email} has no tokens");
        assert_fails(none, &["tokens", "revoke", &email], 1, "token_not_found", &sentence);
    }
    let app = back(app, store);
    for session in [&ada, &second] {
        app.current_user(&session.access_token).assert_error(401, "invalid_token");
        app.refresh_access_token(&session.refresh_token).assert_error(404, "token_not_found");
    }
    assert_eq!(app.current_user(&bob.access_token).status, 200);
    // With --json, and on Redis with no server at all.
    let mut app = app;
    app.kill();
    let output = app.cli(&["--json", "tokens", "revoke", &bob.email]);
    assert_json(&output, 0, &json!({"result": "tokens_removed", "email": bob.email}));
    app.restart().current_user(&bob.access_token).assert_error(401, "invalid_token");
}

fn user_show_prints_the_account(store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let data = app.current_user(&session.access_token).json()["data"].clone();
    let app = aside(app, store);
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

fn user_delete_removes_the_account_and_its_tokens(store: Store) {
    let app = TestApp::start(store);
    let (ada, bob) = (app.new_session(), app.new_session());
    let app = aside(app, store);
    let line = format!("The account {} and all its tokens are deleted", ada.email);
    assert_line(&app.cli(&["user", "delete", &ada.email]), 0, &line);
    let sentence = format!("there is no account {}", ada.email);
    assert_fails(|arguments| app.cli(arguments), &["user", "delete", &ada.email], 1, "user_not_found", &sentence);
    let output = app.cli(&["user", "delete", &bob.email, "--json"]);
    assert_json(&output, 0, &json!({"result": "user_deleted", "email": bob.email}));
    let app = back(app, store);
    for session in [&ada, &bob] {
        app.authenticate(&session.email, PASSWORD).assert_error(401, "invalid_credentials");
        app.current_user(&session.access_token).assert_error(401, "invalid_token");
        app.refresh_access_token(&session.refresh_token).assert_error(404, "token_not_found");
    }
    // Whoever signs up with the email next does not come into the old tokens.
    assert_eq!(app.sign_up(&ada.email, PASSWORD).status, 201);
    assert_eq!(app.current_user(&app.session_of(&ada.email).access_token).status, 200);
    app.current_user(&ada.access_token).assert_error(401, "invalid_token");
}

fn commands_on_an_email_that_is_none_are_wrong_usage(store: Store) {
    let app = TestApp::start(store);
    for words in [["tokens", "revoke"], ["user", "show"], ["user", "delete"]] {
        for bad in ["nobody", " a@b.example", ""] {
            let arguments = [&words[..], &[bad]].concat();
            let sentence = "EMAIL must be a valid email address, such as name@example.com";
            assert_fails(|arguments| app.cli(arguments), &arguments, 2, "wrong_usage", sentence);
        }
        let output = app.cli(&words);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains("<EMAIL>"), "{output:?}");
    }
}

fn commands_say_that_a_running_server_holds_the_embedded_store() {
    let app = TestApp::start(Store::Embedded);
    let session = app.new_session();
    for words in [["tokens", "revoke"], ["user", "show"], ["user", "delete"]] {
        let arguments = [&words[..], &[session.email.as_str()]].concat();
        let sentence = "is held by another process, probably a running server: stop it first";
        assert_fails(|arguments| app.cli(arguments), &arguments, 1, "store_not_opened", sentence);
    }
    assert_eq!(app.current_user(&session.access_token).status, 200);
}

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

fn secrets_generate_makes_two_secrets_that_the_server_accepts() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| command(directory.path(), &[].into()).args(arguments).output().unwrap();
    let output = run(&["secrets", "generate"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    // As the help says: appended to .env, and read from there.
    let mut dotenv = fs::OpenOptions::new().create(true).append(true).open(directory.path().join(".env")).unwrap();
    dotenv.write_all(&output.stdout).unwrap();
    let lines: Vec<_> = text(&output.stdout).lines().map(|line| line.split_once('=').unwrap()).collect();
    let [("AUTH_SECRET_KEY", access), ("REFRESH_SECRET_KEY", refresh)] = lines[..] else { panic!("{output:?}") };
    assert!(access != refresh && access.len() >= 32 && refresh.len() >= 32, "{output:?}");
    let again = run(&["secrets", "generate", "--json"]);
    let body: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_json(
        &again,
        0,
        &json!({"AUTH_SECRET_KEY": body["AUTH_SECRET_KEY"], "REFRESH_SECRET_KEY": body["REFRESH_SECRET_KEY"]}),
    );
    let all =
        [access, refresh, body["AUTH_SECRET_KEY"].as_str().unwrap(), body["REFRESH_SECRET_KEY"].as_str().unwrap()];
    let unlike: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(unlike.len(), 4, "each is new");
    let app = TestApp::start_in(directory.into(), &[]);
    assert!(!app.data_directory().join("auth_secret_key").exists(), "none was generated: they came from .env");
    assert_eq!(app.current_user(&app.new_session().access_token).status, 200);
}

fn health_is_0_when_ready_and_1_when_nobody_answers() {
    let mut app = TestApp::start(Store::Embedded);
    let port = app.port().to_string();
    assert_line(&app.cli(&["health", "--port", &port]), 0, "The server is ready");
    assert_json(&app.cli(&["health", "--port", &port, "--json"]), 0, &json!({"result": "ready"}));
    let every = app.cli(&["--host", "0.0.0.0", "--port", &port, "health"]);
    assert_line(&every, 0, "The server is ready");
    app.kill();
    let sentence = format!("no answer from 127.0.0.1 port {port}: Connection refused");
    assert_fails(|a| app.cli(a), &["health", "--port", &port], 1, "server_unreachable", &sentence);
    // Somebody else's server, and one that says nothing.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let start = Instant::now();
    assert_fails(|a| app.cli(a), &["health", "--port", &port], 1, "server_unreachable", "no answer from");
    assert!(start.elapsed() < Duration::from_secs(15));
    assert_fails(|a| app.cli(a), &["health", "--port", "x"], 2, "wrong_usage", "PORT must be a whole number");
}

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
    // Not ready as soon as shutdown begins, then gone.
    wait_until("it is not ready any more", || health() == Some(1));
}

fn wrong_usage_exits_2() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| command(directory.path(), &[].into()).args(arguments).output().unwrap();
    for arguments in [
        &["--no-such-flag"][..],
        &["--port"],
        &["--port", "1", "--port", "2"],
        &["no-such-command"],
        &["tokens"],
        &["tokens", "no-such-command"],
        &["tokens", "revoke", "a@b.example", "c@d.example"],
        &["user"],
        &["user", "show", "a@b.example", "--no-such-flag"],
        &["secrets"],
        &["secrets", "generate", "more"],
        &["health", "more"],
    ] {
        let output = run(arguments);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{arguments:?} {output:?}");
        assert!(text(&output.stderr).contains("--help"), "{arguments:?} {output:?}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was started");
}

fn wrong_settings_of_a_command_are_told_as_json_too() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), "REDIS_URL=planted planted\n").unwrap();
    let run = |arguments: &[&str]| command(directory.path(), &[].into()).args(arguments).output().unwrap();
    assert_fails(run, &["user", "show", "a@b.example"], 2, "wrong_usage", ".env has a line that is not NAME=value");
    // A command that needs no settings does not mind.
    assert_eq!(run(&["secrets", "generate"]).status.code(), Some(0));
    let settings = [("REDIS_URL".to_owned(), "http://planted".to_owned())].into();
    let run = |arguments: &[&str]| command(directory.path(), &settings).args(arguments).output().unwrap();
    assert_fails(run, &["tokens", "revoke", "a@b.example"], 2, "wrong_usage", "REDIS_URL must have the form");
}

fn help_with_examples_and_version_are_everywhere() {
    let directory = tempfile::tempdir().unwrap();
    // A secret in the environment is not shown as a default.
    let settings =
        [("AUTH_SECRET_KEY", ACCESS_SECRET), ("REFRESH_SECRET_KEY", REFRESH_SECRET), ("REDIS_URL", "planted")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let run = |arguments: &[&str]| command(directory.path(), &settings).args(arguments).output().unwrap();
    for words in [
        &[][..],
        &["tokens"],
        &["tokens", "revoke"],
        &["user"],
        &["user", "show"],
        &["user", "delete"],
        &["secrets"],
        &["secrets", "generate"],
        &["health"],
    ] {
        for flag in ["--help", "-h"] {
            let output = run(&[words, &[flag]].concat());
            let help = text(&output.stdout);
            assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{words:?}");
            assert!(help.contains("Examples:\n  ") && help.contains("Usage: auth-service"), "{words:?} {help}");
            for secret in [ACCESS_SECRET, REFRESH_SECRET, "planted"] {
                assert!(!help.contains(secret), "{words:?} {help}");
            }
        }
        for flag in ["--version", "-V"] {
            let output = run(&[words, &[flag]].concat());
            assert_eq!(output.status.code(), Some(0), "{words:?}");
            let line = text(&output.stdout);
            assert!(line.starts_with("auth-service") && line.ends_with(concat!(" ", env!("CARGO_PKG_VERSION"), "\n")));
        }
    }
    let help = run(&["--help"]);
    for name in ["HOST", "PORT", "REDIS_URL", "DATA_DIR", "AUTH_SECRET_KEY", "AUTH_SECRET_KEY_FILE", "TOKEN_REMOVAL"] {
        let flag = format!("--{} <", name.to_lowercase().replace('_', "-"));
        assert!(text(&help.stdout).contains(&flag), "{flag}");
    }
}
