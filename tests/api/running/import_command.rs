//! `auth-service import`: what it adds, what it refuses, and what it leaves alone.

use std::{fs, io::Write, process::Stdio};

use rstest::rstest;
use serde_json::{Value, json};

use super::printed::{assert_fails, assert_json, text};
use crate::support::{
    PASSWORD, Process, RedisServer,
    Store::{self, Embedded, Redis},
    TestApp, command, unique_email, wait_until,
};

/// The hash of [`PASSWORD`] by argon2-cffi 25.1, with parameters that take no time.
pub(super) const HASH: &str =
    "$argon2id$v=19$m=64,t=1,p=2$TkZhS3I0N0MwcWo1djAzVVlJVU5UaA$XKis7k0maB4RFxIXTqPAjLJsF/ElD7lR7NNnU2si6RA";

pub(super) fn line(email: &str) -> Value {
    json!({"email": email, "password_hash": HASH})
}

/// Lines of accounts that no other test uses.
pub(super) fn lines(count: usize) -> String {
    let start = unique_email();
    (0..count).map(|n| format!("{}\n", line(&format!("{n}.{start}")))).collect()
}

/// Hashes of [`PASSWORD`], made by bcrypt 5.0, Django 5.2 and Werkzeug 3.1 with their defaults (bcrypt with cost 10).
const FOREIGN: [&str; 8] = [
    "$2b$10$b2g2ZheJ1iw1jlNofEJdxusezgubbib01OEEiSYlSFeg2.XefeUVG",
    "bcrypt$$2b$04$ztLiR/k5rcMLmXHa65su9uGpoTErrEeRAopi71JNlbUOlX.ySYW7W",
    "bcrypt_sha256$$2b$04$a1TMAbq5GEZjRXTWflrZQeMlpbh2BLyBOvvhY22C4oqgQM8RM4MY.",
    "argon2$argon2id$v=19$m=102400,t=2,p=8$eWpHaEVRRnlNNEM3cE5GRTlwZWxvSw$KYH0XP/+yjVYzyjwkeUIrgsPqqzgpEJ9i9BIQ5355og",
    "pbkdf2_sha256$1000000$JAlSNwoRZzn5UNNEWfykxn$qj3yIprp5re1DEUEy2mJ+Bzj8eod2UcMKEqNQOt0LwU=",
    "pbkdf2:sha256:1000000$KbIGgeSN0FgmAMVv$d2873f46d24067736e997a4f80d275229e8553474f259447806f0539903f9279",
    "scrypt$16384$jFIpedEXUDTLN4m4hMnJGP$8$5$St1kpx4SRL8BUMfZsJ1h+m7Bn/uTMhLW8QjjFqpCAV7XbM4TgtZyUGGlYqRZ0E7/SisKyEGReGt\
     ZwDYJ3pqDOw==",
    "scrypt:32768:8:1$9XwP406R3iu3HCJy$f3730cb54cdb4cb511af28995e7120d4bd5419779d484f0b52cf75444cb2fd4d70e276d12bc434a262\
     662c8fe48a538184df2443bfcda4fd785ab63b1a39706a",
];

/// What is printed for people.
fn printed(app: &TestApp, arguments: &[&str], input: &str) -> (i32, Vec<String>) {
    let output = app.cli_with_input(arguments, input);
    assert_eq!(text(&output.stderr), "", "there is no progress without a terminal");
    (output.status.code().unwrap(), text(&output.stdout).lines().map(str::to_owned).collect())
}

#[track_caller]
fn assert_summary(last: &str, imported: usize, already_there: usize, refused: usize) {
    assert!(last.starts_with("Accounts "), "{last}");
    let end = format!(": {imported}; already there: {already_there}; refused lines: {refused}");
    assert!(last.ends_with(&end), "{last}");
}

#[rstest]
fn imported_accounts_sign_in_and_get_a_current_hash(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store).aside(store);
    let (ada, bob) = (unique_email(), unique_email().to_uppercase());
    let id = "6fe129f0-bb9d-4549-8835-14d0912932b0";
    let whole = json!({"email": bob, "password_hash": HASH, "id": id, "created_at": "2023-11-15T00:13:20.5+02:00", "name": "B"});
    let (code, out) = printed(&app, &["import", "-"], &format!("{}\n{whole}", line(&ada)));
    assert_eq!(code, 0);
    assert_summary(&out[0], 2, 0, 0);
    let app = app.back(store);
    let profile = |email: &str| app.current_user(&app.session_of(email).access_token).json()["data"].clone();
    assert_eq!(profile(&bob), json!({"email": bob, "id": id, "created_at": "2023-11-14T22:13:20Z"}));
    assert_ne!(profile(&ada)["id"], profile(&bob)["id"]);
    app.authenticate(&ada, "wrong").assert_error(401, "invalid_credentials");
    let app = app.aside(store);
    let exported = app.cli(&["export"]);
    let hash_of = |email: &str| {
        let mut lines = text(&exported.stdout).lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.find(|line| line["email"] == email).unwrap()["password_hash"].as_str().unwrap().to_owned()
    };
    for email in [&ada, &bob] {
        assert!(hash_of(email).starts_with("$argon2id$v=19$m=7168,t=1,p=1$"), "the first sign-in upgrades the hash");
    }
}

#[rstest]
fn users_of_other_services_sign_in_and_get_a_current_hash(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store).aside(store);
    let users: Vec<_> = FOREIGN.iter().map(|hash| (unique_email(), hash)).collect();
    let mut input: String = users
        .iter()
        .map(|(email, hash)| {
            let line = json!({"email": email, "password_hash": hash});
            format!("{line}\n")
        })
        .collect();
    for (from, to) in [("$2b$10$", "$2b$15$"), ("$1000000$", "$9000000$"), (":32768:8:1$", ":262144:8:1$")] {
        let hash = FOREIGN.iter().find(|hash| hash.contains(from)).unwrap().replacen(from, to, 1);
        input += &format!("{}\n", json!({"email": unique_email(), "password_hash": hash}));
    }
    let (code, out) = printed(&app, &["import", "-"], &input);
    let refused = |n: usize| format!("line {}: password_hash costs too much memory or time", FOREIGN.len() + n);
    assert_eq!((code, &out[..3]), (1, &[1, 2, 3].map(refused)[..]));
    assert_summary(&out[3], FOREIGN.len(), 0, 3);
    let app = app.back(store);
    for (email, hash) in &users {
        app.authenticate(email, "wrong").assert_error(401, "invalid_credentials");
        for _ in 0..2 {
            assert_eq!(app.authenticate(email, PASSWORD).status, 200, "{hash}");
        }
    }
    let app = app.aside(store);
    let exported = app.cli(&["export"]);
    for (email, hash) in &users {
        let line = text(&exported.stdout).lines().find(|line| line.contains(email.as_str())).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        let now = line["password_hash"].as_str().unwrap();
        // The parameters of Django's argon2 are stronger than those of the tests.
        let kept = if hash.starts_with("argon2") { *hash } else { "$argon2id$v=19$m=7168,t=1,p=1$" };
        assert!(now.starts_with(kept), "{hash} is now {now}");
    }
}

#[rstest]
fn an_account_that_is_there_is_never_changed(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let there = unique_email();
    assert_eq!(app.sign_up(&there, "the old password").status, 201);
    let new = unique_email();
    let international = new.replace("example.com", "münchen.example");
    let ascii = international.to_uppercase().replace("MÜNCHEN", "XN--MNCHEN-3YA");
    let all = [&there.to_uppercase(), &new, &international, &ascii, &new.to_uppercase()];
    let input: String = all.iter().map(|email| format!("{}\n", line(email))).collect();
    let app = app.aside(store);
    let (code, out) = printed(&app, &["import", "-", "--dry-run"], &input);
    assert_eq!((code, out.len()), (0, 1));
    assert!(out[0].contains("would be imported into"), "{out:?}");
    assert_summary(&out[0], 2, 3, 0);
    let output = app.cli_with_input(&["import", "-", "--json"], &input);
    assert_json(&output, 0, &json!({"result": "imported", "imported": 2, "already_there": 3, "refused": 0}));
    let again = app.cli_with_input(&["import", "-", "--json"], &input);
    assert_json(&again, 0, &json!({"result": "imported", "imported": 0, "already_there": 5, "refused": 0}));
    let app = app.back(store);
    assert_eq!(app.authenticate(&there, "the old password").status, 200);
    app.authenticate(&there, PASSWORD).assert_error(401, "invalid_credentials");
    assert_eq!(app.current_user(&app.session_of(&ascii).access_token).json()["data"]["email"], international);
    assert_eq!(app.authenticate(&new, PASSWORD).status, 200);
}

#[test]
fn refused_lines_are_named_by_number_without_their_content() {
    let app = TestApp::start(Redis);
    let good = [unique_email(), unique_email()];
    let with = |name: &str, value: Value| {
        let mut line = line(&unique_email());
        line[name] = value;
        line.to_string()
    };
    let costly = HASH.replace("m=64", "m=131073");
    let too_long = "x".repeat(70_000);
    let bad = [
        ("planted".to_owned(), "it is not JSON"),
        ("[\"planted\"]".to_owned(), "it must be a JSON object that has each field once"),
        ("{\"password_hash\": \"planted\"}".to_owned(), "email is required"),
        (with("email", json!("planted@")), "email must be a valid email address"),
        (with("email", json!("planted@\u{202e}b.example")), "email must be a valid email address"),
        (with("password_hash", json!("planted")), "password_hash has no known form"),
        (with("password_hash", json!(costly)), "password_hash costs too much memory or time"),
        (with("id", json!("planted")), "id must be a UUID; without an id, the account gets a new one"),
        (with("created_at", json!(17)), "created_at must be text"),
        (with("v", json!(3)), "a later version of auth-service wrote it"),
        (too_long, "it is longer than 65536 bytes"),
    ];
    let mut input = format!("\u{feff}{}\r\n\r\n", line(&good[0]));
    let mut reasons = Vec::new();
    for (n, (line, reason)) in bad.iter().enumerate() {
        input += &format!("{line}\r\n");
        reasons.push((n + 3, *reason));
    }
    input += &line(&good[1]).to_string();
    for arguments in [&["import", "-", "--dry-run"][..], &["import", "-"]] {
        let (code, out) = printed(&app, arguments, &input);
        assert_eq!(code, 1, "{out:?}");
        let expected: Vec<_> = reasons.iter().map(|(n, reason)| format!("line {n}: {reason}")).collect();
        assert_eq!(out[..bad.len()], expected);
        assert_summary(&out[bad.len()], 2, 0, bad.len());
    }
    for email in &good {
        assert_eq!(app.authenticate(email, PASSWORD).status, 200);
    }
    let output = app.cli_with_input(&["import", "-", "--json"], &input);
    let lines: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((output.status.code(), lines.len()), (Some(1), bad.len() + 1));
    assert_eq!(lines[0], json!({"line": 3, "error": "it is not JSON"}));
    assert_eq!(
        lines[bad.len()],
        json!({"result": "imported", "imported": 0, "already_there": 2, "refused": bad.len()})
    );
}

#[rstest]
fn an_import_that_is_killed_is_completed_by_the_next(#[values(Redis, Embedded)] store: Store) {
    const COUNT: usize = 20_000;
    let redis = RedisServer::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let settings = match store {
        Redis => [("REDIS_URL".to_owned(), redis.url())],
        Embedded => [("DATA_DIR".to_owned(), "data".to_owned())],
    };
    let settings = settings.into();
    let lines = lines(COUNT);
    fs::write(directory.path().join("accounts"), &lines).unwrap();
    let mut child = command(directory.path(), &settings)
        .args(["import", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // The pipe holds fewer lines than the last quarter, so the command has written most of the first half.
    child.stdin.as_mut().unwrap().write_all(&lines.as_bytes()[..lines.len() * 3 / 4]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let run = |arguments: &[&str]| command(directory.path(), &settings).args(arguments).output().unwrap();
    let output = run(&["import", "accounts", "--json"]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [imported, already_there] = ["imported", "already_there"].map(|name| summary[name].as_u64().unwrap());
    assert_eq!((imported + already_there, &summary["refused"]), (COUNT as u64, &json!(0)));
    assert!(imported > 0 && already_there > 0, "{summary}");
    assert_eq!(text(&run(&["export"]).stdout).lines().count(), COUNT);
}

#[test]
fn long_lines_are_written_before_they_fill_the_memory() {
    let redis = RedisServer::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let settings = [("REDIS_URL".to_owned(), redis.url())].into();
    let mut import = command(directory.path(), &settings);
    import.args(["import", "-"]).stdin(Stdio::piped());
    let mut import = Process::start(import);
    // 6 MB in far fewer lines than a batch of short lines has.
    for n in 0..100 {
        let mut line = line(&format!("{n}@example.com"));
        (line["v"], line["unknown"]) = (json!(1), json!(vec![0; 30_000]));
        writeln!(import.child().stdin.as_mut().unwrap(), "{line}").unwrap();
    }
    wait_until("accounts are written while the input goes on", || redis.command::<usize>(&["DBSIZE"]) > 0);
}

#[test]
fn a_dry_run_makes_no_store() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("accounts"), line("ada@example.com").to_string()).unwrap();
    let settings = [("DATA_DIR".to_owned(), "data".to_owned())].into();
    let run = |arguments: &[&str]| command(directory.path(), &settings).args(arguments).output().unwrap();
    let output = run(&["import", "accounts", "--dry-run", "--json"]);
    assert_json(&output, 0, &json!({"result": "checked", "imported": 1, "already_there": 0, "refused": 0}));
    assert!(!directory.path().join("data").exists());
    let output = run(&["import", "accounts"]);
    let line = "Accounts imported into the embedded store in data (one replica only): 1; already there: 0; refused lines: \
                0\n";
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), line));
    assert!(directory.path().join("data").exists());
    assert_fails(run, &["import", "missing"], 1, "input_failed", "missing cannot be read: No such file");
    assert_fails(run, &["import", ".", "--data-dir", "new"], 1, "input_failed", ". cannot be read: ");
    assert!(!directory.path().join("new").exists());
    assert_eq!(run(&["import"]).status.code(), Some(2));
}

#[test]
fn an_import_says_that_the_store_is_away() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("accounts"), line("ada@example.com").to_string()).unwrap();
    let settings = [("REDIS_URL".to_owned(), "redis://127.0.0.1:1".to_owned())].into();
    let run = |arguments: &[&str]| command(directory.path(), &settings).args(arguments).output().unwrap();
    for arguments in [&["import", "accounts"][..], &["import", "accounts", "--dry-run"], &["user", "list"]] {
        assert_fails(run, arguments, 1, "store_unreachable", "cannot be reached");
    }
}
