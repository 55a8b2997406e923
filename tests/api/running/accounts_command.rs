//! `auth-service user create`, `user list` and `user set-password`.

use std::{collections::BTreeMap, process::Output};

use rstest::rstest;
use serde_json::{Value, json};

use super::printed::{assert_json, assert_line, text};
use crate::support::{
    Cluster, PASSWORD, RedisServer, Session,
    Store::{self, Embedded, Redis},
    TestApp, key, program, unique_email,
};

#[track_caller]
fn assert_refused(output: &Output, code: i32, sentence: &str) {
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(code), ""), "{output:?}");
    assert!(
        text(&output.stderr).starts_with("auth-service: ") && text(&output.stderr).contains(sentence),
        "{output:?}"
    );
}

#[rstest]
fn user_create_makes_an_account_that_can_sign_in(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store).aside(store);
    let (ada, bob) = (unique_email(), unique_email());
    let output = app.cli_with_input(&["user", "create", &ada], "correct horse\n");
    let shown = app.cli(&["user", "show", &ada, "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let line = format!("The account {ada} is created, with the id {}", shown["id"].as_str().unwrap());
    assert_line(&output, 0, &line);
    let taken = format!("there is already an account {}", ada.to_uppercase());
    assert_refused(&app.cli_with_input(&["user", "create", &ada.to_uppercase()], "another one"), 1, &taken);
    let output = app.cli_with_input(&["user", "create", &bob, "--verified", "--json"], " spaces count \r\n");
    let created: Value = serde_json::from_slice(&output.stdout).unwrap();
    let shown = app.cli(&["user", "show", &bob, "--json"]);
    let mut expected: Value = serde_json::from_slice(&shown.stdout).unwrap();
    expected["result"] = json!("user_created");
    assert_json(&output, 0, &expected);
    assert_eq!((&created["email"], &created["email_verified"]), (&json!(bob), &json!(true)));
    let verified = app.cli(&["user", "verify", &ada]);
    assert_line(&verified, 0, &format!("The email {ada} is verified"));
    assert_json(&app.cli(&["user", "verify", &ada, "--json"]), 0, &json!({"result": "email_verified", "email": ada}));
    let shown = app.cli(&["user", "show", &ada]);
    assert!(text(&shown.stdout).ends_with(" verified\n"), "{shown:?}");
    let nobody = unique_email();
    assert_refused(&app.cli(&["user", "verify", &nobody]), 1, &format!("there is no account {nobody}"));

    let app = app.back(store);
    assert_eq!(app.authenticate(&ada, "correct horse").status, 200);
    app.authenticate(&ada, "another one").assert_error(401, "invalid_credentials");
    let session = app.sign_in(&bob, " spaces count ");
    let profile = app.current_user(&session.access_token).json()["data"].clone();
    assert_eq!((&profile["id"], &profile["created_at"]), (&created["id"], &created["created_at"]));
    app.sign_up(&ada, PASSWORD).assert_error(409, "email_taken");
}

#[rstest]
fn new_passwords_follow_the_rules_of_a_sign_up(#[values("create", "set-password")] command: &str) {
    let app = TestApp::start(Redis);
    let email = if command == "create" { unique_email() } else { app.new_account() };
    let too_long = "x".repeat(1_025);
    for (password, more, sentence) in [
        ("", &[][..], "the password must have at least 6 characters"),
        ("12345\n", &[], "the password must have at least 6 characters"),
        ("1234567", &["--password-min-length", "8"], "the password must have at least 8 characters"),
        (&too_long, &[], "the password must not have more than 1024 bytes"),
        ("password", &["--password-min-score", "3"], "the password is too easy to guess"),
    ] {
        let output = app.cli_with_input(&[&["user", command, &email], more].concat(), password);
        assert_refused(&output, 2, sentence);
    }
    let wrong = app.cli_with_input(&["user", command, "nobody"], PASSWORD);
    assert_refused(&wrong, 2, "EMAIL must be a valid email address");
    let argument = app.cli_with_input(&["user", command, &email, PASSWORD], "");
    assert_eq!(argument.status.code(), Some(2), "a password is no argument: {argument:?}");
    if command == "create" {
        app.authenticate(&email, "12345").assert_error(401, "invalid_credentials");
    } else {
        assert_eq!(app.authenticate(&email, PASSWORD).status, 200);
    }
}

#[rstest]
fn user_set_password_ends_all_sessions(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (ada, bob) = (app.new_session(), app.new_session());
    let second = app.session_of(&ada.email);
    let id = app.current_user(&ada.access_token).json()["data"]["id"].clone();
    let app = app.aside(store);
    let output = app.cli_with_input(&["user", "set-password", &ada.email], "a new password\n");
    assert_line(&output, 0, &format!("The password of {} is changed, and all its tokens are removed", ada.email));
    let nobody = unique_email();
    let missing = app.cli_with_input(&["user", "set-password", &nobody], "a new password");
    assert_refused(&missing, 1, &format!("there is no account {nobody}"));
    let app = app.back(store);
    for session in [&ada, &second] {
        session.assert_dead([&app]);
    }
    bob.assert_lives([&app]);
    app.authenticate(&ada.email, PASSWORD).assert_error(401, "invalid_credentials");
    let again = app.sign_in(&ada.email, "a new password");
    assert_eq!(app.current_user(&again.access_token).json()["data"]["id"], id);
    let app = app.aside(store);
    let output = app.cli_with_input(&["user", "set-password", &ada.email, "--json"], "the last password");
    assert_json(&output, 0, &json!({"result": "password_changed", "email": ada.email}));
    app.back(store).sign_in(&ada.email, "the last password");
}

#[test]
fn a_new_password_forgives_the_failures() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    for _ in 0..4 {
        app.authenticate(&session.email, "wrong").assert_error(401, "invalid_credentials");
    }
    assert!(redis.keys().iter().any(|key| key.contains(":f:")), "{:?}", redis.keys());
    let output = app.cli_with_input(&["user", "set-password", &session.email], "a new password");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let keys = redis.keys();
    assert!(keys.len() == 1 && keys[0].ends_with(":u"), "only the account is left: {keys:?}");
}

/// The lines of `user list --json`, by email.
fn listed(app: &TestApp) -> BTreeMap<String, Value> {
    let output = app.cli(&["user", "list", "--json"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{output:?}");
    let lines = text(&output.stdout).lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| (line["email"].as_str().unwrap().to_owned(), line)).collect()
}

#[rstest]
fn user_list_prints_every_account(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let sessions: Vec<_> = (0..3).map(|_| app.new_session()).collect();
    let profiles: Vec<_> =
        sessions.iter().map(|session| app.current_user(&session.access_token).json()["data"].clone()).collect();
    let app = app.aside(store);
    let listed = listed(&app);
    for (session, profile) in sessions.iter().zip(&profiles) {
        let mut expected = profile.clone();
        expected["email_verified"] = json!(false);
        assert_eq!(listed[&session.email], expected);
    }
    let output = app.cli(&["user", "list"]);
    for profile in &profiles {
        let [email, id, created] = ["email", "id", "created_at"].map(|name| profile[name].as_str().unwrap());
        let line = format!("{email} id {id} created {created}");
        assert_eq!(text(&output.stdout).lines().filter(|found| **found == line).count(), 1, "{line}");
    }
}

#[test]
fn user_list_shows_only_accounts_of_its_prefix() {
    let redis = RedisServer::start(&[]);
    let [ours, other] =
        ["blue:", "blue:blue:"].map(|prefix| TestApp::start_on(&redis.url(), &[("REDIS_KEY_PREFIX", prefix)]));
    assert!(listed(&ours).is_empty());
    let (session, _) = (ours.new_session(), other.new_session());
    assert_eq!(listed(&ours).into_keys().collect::<Vec<_>>(), [session.email]);
}

#[test]
fn user_list_reads_every_primary_of_a_cluster() {
    let cluster = Cluster::start(&[]);
    let app = TestApp::start_on(&cluster.url(), &[]);
    let mut emails: Vec<_> = (0..20).map(|_| app.new_account()).collect();
    emails.sort();
    let owners: std::collections::BTreeSet<_> = emails.iter().map(|email| cluster.owner(0, &key(email))).collect();
    assert_eq!(owners.len(), 3, "the accounts are on all primaries");
    assert_eq!(listed(&app).into_keys().collect::<Vec<_>>(), emails);
}

#[test]
fn user_list_ends_quietly_when_nobody_reads_on() {
    let app = TestApp::start(Redis);
    app.new_account();
    let session: Session = app.new_session();
    let script = format!("\"$0\" user list | grep -m1 -q @ ; echo ${{PIPESTATUS[0]}}; : {}", session.email);
    let mut shell = program("bash");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_auth-service")]);
    let output = shell.current_dir(app.working_directory()).env_clear().envs(app.settings()).output().unwrap();
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("0\n", ""));
}

/// Types a password on a terminal, twice. Prints all that the terminal shows, and exits as the command does.
const TYPE_ON_A_TERMINAL: &str = r#"
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:2] + sys.argv[4:])
shown = b''
for question, answer in [(b'Password: ', sys.argv[2]), (b'again: ', sys.argv[3])]:
    while not shown.endswith(question):
        shown += os.read(terminal, 1024)
    os.write(terminal, answer.encode() + b'\n')
try:
    while chunk := os.read(terminal, 1024):
        shown += chunk
except OSError:
    pass
print(shown.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

#[test]
fn a_terminal_does_not_show_the_password() {
    let app = TestApp::start(Redis);
    let email = unique_email();
    let create = |first: &str, second: &str| {
        let mut python = program("python3");
        python.args(["-c", TYPE_ON_A_TERMINAL, env!("CARGO_BIN_EXE_auth-service"), first, second]);
        python.args(["user", "create", &email]);
        let output = python.current_dir(app.working_directory()).envs(app.settings()).output().unwrap();
        (output.status.code(), text(&output.stdout).to_owned())
    };
    let (code, shown) = create("planted secret", "planted sceret");
    assert_eq!(code, Some(2), "{shown}");
    assert!(shown.contains("the two passwords differ") && !shown.contains("planted"), "{shown}");
    let (code, shown) = create("planted secret", "planted secret");
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("is created") && !shown.contains("planted"), "{shown}");
    assert_eq!(app.authenticate(&email, "planted secret").status, 200);
}
