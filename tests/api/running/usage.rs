//! Help, versions, wrong usage, and the making of secrets, which needs no store.

use std::{fs, io::Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::printed::{assert_fails, assert_json, text};
use crate::support::{ACCESS_SECRET, REFRESH_SECRET, TestApp, command};

#[test]
fn secrets_generate_makes_two_secrets_that_the_server_accepts() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| command(directory.path(), &[].into()).args(arguments).output().unwrap();
    let output = run(&["secrets", "generate"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    // As the help says, the user appends the output to `.env`, and the server reads it from there.
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
    assert_eq!(unlike.len(), 4, "each secret is new");
    let app = TestApp::start_in(directory.into(), &[]);
    assert!(!app.data_directory().join("auth_secret_key").exists(), "the secrets come from .env");
    assert_eq!(app.current_user(&app.new_session().access_token).status, 200);
}

#[test]
fn secrets_resource_server_makes_a_secret_and_its_entry() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| command(directory.path(), &[].into()).args(arguments).output().unwrap();
    let output = run(&["secrets", "resource-server", "orders-2"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    let lines: Vec<_> = text(&output.stdout).lines().map(|line| line.split_once(": ").unwrap()).collect();
    let [("secret of orders-2", secret), ("entry in RESOURCE_SERVERS", entry)] = lines[..] else {
        panic!("{output:?}")
    };
    assert_eq!(secret.len(), 43, "{output:?}");
    let app = TestApp::start_in(directory.into(), &[("RESOURCE_SERVERS", entry)]);
    let credentials = format!("Basic {}", STANDARD.encode(format!("orders-2:{secret}")));
    let answer = app.send_form("/introspect", &[("Authorization", &credentials)], "token=x");
    answer.assert(200, &json!({"active": false}));
    let again = app.cli(&["secrets", "resource-server", "orders-2", "--json"]);
    let body: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_json(&again, 0, &json!({"name": "orders-2", "secret": body["secret"], "entry": body["entry"]}));
    assert_ne!(body["secret"], secret, "each secret is new");
    for bad in ["", "a:b", "two words", "bücher"] {
        let sentence = "NAME must be 1 to 64 ASCII letters, digits, dots, hyphens or underscores";
        assert_fails(|arguments| app.cli(arguments), &["secrets", "resource-server", bad], 2, "wrong_usage", sentence);
    }
}

#[test]
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
        &["user", "list", "more"],
        &["export", "more"],
        &["import"],
        &["secrets"],
        &["secrets", "generate", "more"],
        &["health", "more"],
    ] {
        let output = run(arguments);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{arguments:?} {output:?}");
        assert!(text(&output.stderr).contains("--help"), "{arguments:?} {output:?}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "no server was started");
}

#[test]
fn wrong_settings_of_a_command_are_reported_as_json_too() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), "REDIS_URL=planted planted\n").unwrap();
    let run = |arguments: &[&str]| command(directory.path(), &[].into()).args(arguments).output().unwrap();
    assert_fails(run, &["user", "show", "a@b.example"], 2, "wrong_usage", ".env line 1 is not NAME=value");
    // The broken `.env` does not stop a command that needs no settings.
    assert_eq!(run(&["secrets", "generate"]).status.code(), Some(0));
    let settings = [("REDIS_URL".to_owned(), "http://planted".to_owned())].into();
    let run = |arguments: &[&str]| command(directory.path(), &settings).args(arguments).output().unwrap();
    assert_fails(run, &["tokens", "revoke", "a@b.example"], 2, "wrong_usage", "REDIS_URL must have the form");
}

#[test]
fn commands_have_help_with_examples_and_a_version() {
    let directory = tempfile::tempdir().unwrap();
    // The help must not show a secret from the environment as a default.
    let settings =
        [("AUTH_SECRET_KEY", ACCESS_SECRET), ("REFRESH_SECRET_KEY", REFRESH_SECRET), ("REDIS_URL", "planted")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let run = |arguments: &[&str]| command(directory.path(), &settings).args(arguments).output().unwrap();
    for words in [
        &[][..],
        &["tokens"],
        &["tokens", "revoke"],
        &["user"],
        &["user", "create"],
        &["user", "show"],
        &["user", "list"],
        &["user", "set-password"],
        &["user", "delete"],
        &["export"],
        &["import"],
        &["secrets"],
        &["secrets", "generate"],
        &["health"],
        &["completions"],
        &["man"],
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
