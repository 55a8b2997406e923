//! Accounts move between stores by `auth-service export` and `auth-service import`.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};

use super::{
    import_command::line,
    printed::{assert_fails, assert_line, text},
};
use crate::support::{Cluster, Keys, PASSWORD, RedisServer, Store, TestApp, unique_email};

/// The sorted lines of `export`.
fn exported(app: &TestApp) -> Vec<String> {
    let output = app.cli(&["export"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{output:?}");
    let mut lines: Vec<_> = text(&output.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn import(app: &TestApp, lines: &[String]) {
    let output = app.cli_with_input(&["import", "-", "--json"], &lines.join("\n"));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary, json!({"result": "imported", "imported": lines.len(), "already_there": 0, "refused": 0}));
}

#[test]
fn accounts_move_from_redis_to_the_embedded_store_to_a_cluster_and_back() {
    let (redis, cluster, last) = (RedisServer::start(&[]), Cluster::start(&[]), RedisServer::start(&[]));
    let first = TestApp::start_on(&redis.url(), &[]);
    let sessions: Vec<_> = (0..12).map(|_| first.new_session()).collect();
    // A field of a later version survives, too.
    let key = Keys::of(&sessions[0]).user();
    let mut record: Value = serde_json::from_str(&redis.command::<String>(&["GET", &key])).unwrap();
    record["device"] = json!({"empty": [], "large": u64::MAX});
    redis.command::<()>(&["SET", &key, &record.to_string()]);
    let before = exported(&first);
    assert_eq!(before.len(), 12);

    let mut embedded = TestApp::start(Store::Embedded);
    embedded.kill();
    import(&embedded, &before);
    assert_eq!(exported(&embedded), before);
    let on_cluster = TestApp::start_on(&cluster.url(), &[]);
    import(&on_cluster, &exported(&embedded));
    assert_eq!(exported(&on_cluster), before);
    let back = TestApp::start_on(&last.url(), &[]);
    import(&back, &exported(&on_cluster));
    assert_eq!(exported(&back), before);

    let embedded = embedded.restart();
    for (n, session) in sessions.iter().enumerate() {
        let profile = first.current_user(&session.access_token).json();
        for app in [&embedded, &on_cluster, &back] {
            app.current_user(&session.access_token).assert_error(401, "invalid_token");
            if n < 2 {
                let again = app.session_of(&session.email);
                assert_eq!(app.current_user(&again.access_token).json(), profile);
            }
        }
    }
}

#[test]
fn an_exported_line_has_a_version_and_the_fields_of_the_account() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    let record: String = redis.command(&["GET", &Keys::of(&session).user()]);
    let mut expected: Value = serde_json::from_str(&record).unwrap();
    expected["created_at"] = app.current_user(&session.access_token).json()["data"]["created_at"].clone();
    assert_eq!((&expected["v"], expected["known_addresses"].as_object().unwrap().len()), (&json!(1), 1));
    let lines = exported(&app);
    assert_eq!(lines.len(), 1);
    assert_eq!(serde_json::from_str::<Value>(&lines[0]).unwrap(), expected);
}

#[test]
fn an_export_to_a_file_is_private_and_complete_or_not_there() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let email = app.new_account();
    let file = app.working_directory().join("accounts.ndjson");
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_line(&app.cli(&["export", "--output", "accounts.ndjson"]), 0, "Accounts exported: 1");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let whole = fs::read_to_string(&file).unwrap();
    assert!(whole.lines().count() == 1 && whole.contains(&email), "{whole}");
    let run = |arguments: &[&str]| app.cli(arguments);
    let directory = app.working_directory().join("directory");
    fs::create_dir(&directory).unwrap();
    assert_fails(run, &["export", "--output", "directory"], 1, "output_failed", "directory: Is a directory");
    fs::remove_dir(&directory).unwrap();
    let later = json!({"v": 3}).to_string();
    redis.command::<()>(&["SET", "as:{AAAAAAAAAAAAAAAAAAAAAA}:u", &later]);
    let sentence = "a later version of auth-service wrote this value";
    assert_fails(run, &["export", "--output", "accounts.ndjson"], 1, "store_newer_version", sentence);
    assert_eq!(fs::read_to_string(&file).unwrap(), whole, "a failure leaves the earlier file");
    let names: Vec<_> =
        fs::read_dir(app.working_directory()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["accounts.ndjson"]);
    let output = app.cli(&["export", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains(sentence) && !text(&output.stdout).contains("error"), "{output:?}");
    assert_fails(
        run,
        &["export", "--output", "missing/accounts"],
        1,
        "output_failed",
        "missing/accounts: No such file",
    );
}

#[test]
fn an_import_of_many_accounts_reaches_every_primary_of_a_cluster() {
    let cluster = Cluster::start(&[]);
    let app = TestApp::start_on(&cluster.url(), &[("REDIS_WAIT_REPLICAS", "1")]);
    let start = unique_email();
    let emails: Vec<_> = (0..500).map(|n| format!("{n}.{start}")).collect();
    import(&app, &emails.iter().map(|email| line(email).to_string()).collect::<Vec<_>>());
    assert_eq!(exported(&app).len(), emails.len());
    let records = cluster.servers.iter().map(|server| server.command::<Vec<String>>(&["KEYS", "*:u"]).len());
    assert_eq!(records.sum::<usize>(), 2 * emails.len(), "each account is on a primary and on its replica");
    assert_eq!(app.authenticate(&emails[7], PASSWORD).status, 200);
}
