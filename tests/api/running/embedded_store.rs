//! The embedded store: durable, private, open to only one process, and free of expired entries.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};
use serde_json::json;

use crate::support::{
    PASSWORD, Session, Store, TestApp, flood_of_signups, refused_in, signal, tag, unique_email, wait_until,
};

#[test]
fn kill_in_a_flood_of_signups_loses_none_that_was_acknowledged() {
    let mut app = TestApp::start(Store::Embedded);
    let mut all = Vec::new();
    for _ in 0..4 {
        let pid = app.pid();
        all.extend(flood_of_signups(&app, || signal(pid, "KILL")));
        app = app.kill_and_restart();
        for email in &all {
            let answer = app.authenticate(email, PASSWORD);
            assert_eq!(answer.status, 200, "{email} of {}: {answer:?}", all.len());
        }
    }
}

#[test]
fn tokens_and_removals_survive_a_kill() {
    let app = TestApp::start(Store::Embedded);
    let (kept, removed) = (app.new_session(), app.new_session());
    assert_eq!(app.remove_access_token(&removed.email).status, 200);
    let app = app.kill_and_restart();
    assert_eq!(app.current_user(&kept.access_token).json()["data"]["email"], kept.email);
    assert_eq!(app.refresh_access_token(&kept.refresh_token).status, 200);
    app.current_user(&removed.access_token).assert_error(401, "invalid_token");
    app.refresh_access_token(&removed.refresh_token).assert_error(404, "token_not_found");
}

#[test]
fn generated_secrets_survive_a_restart() {
    let app = TestApp::start(Store::Embedded);
    let secrets =
        || ["auth_secret_key", "refresh_secret_key"].map(|name| fs::read(app.data_directory().join(name)).unwrap());
    let before = secrets();
    assert_ne!(before[0], before[1]);
    let session = app.new_session();
    app.terminate();
    let mut app = app;
    assert!(app.wait().success());
    let app = app.kill_and_restart();
    let read = |name| fs::read(app.data_directory().join(name)).unwrap();
    assert_eq!(before, ["auth_secret_key", "refresh_secret_key"].map(read));
    assert_eq!(app.current_user(&session.access_token).status, 200);
    assert!(!app.output().contains("were generated"), "the second start generates no secrets: {}", app.output());
}

#[test]
fn data_directory_and_secrets_are_private() {
    let app = TestApp::start(Store::Embedded);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let directory = app.data_directory();
    assert_eq!(mode(&directory), 0o700);
    for name in ["auth_secret_key", "refresh_secret_key"] {
        let path = directory.join(name);
        assert_eq!(mode(&path), 0o600, "{name}");
        let secret = fs::read_to_string(path).unwrap();
        assert!(secret.trim_end().len() >= 32);
        assert!(!app.output().contains(secret.trim_end()));
    }
}

#[test]
fn a_directory_open_to_others_is_refused() {
    for mode in [0o750, 0o705, 0o777, 0o701] {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("data");
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
        let (status, said) = refused_in(parent.path(), &[]);
        assert_eq!(status, 2, "{said}");
        assert!(said.contains("DATA_DIR") && said.contains("chmod 700"), "{said}");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "the server wrote nothing there");
    }
}

#[test]
fn a_secret_file_open_to_others_or_cut_short_is_refused() {
    type Harm = fn(&Path);
    let open: Harm = |path| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let cut: Harm = |path| fs::write(path, "short").unwrap();
    for (harm, sentence) in [(open, "chmod 600"), (cut, "this secret is too short")] {
        let mut app = TestApp::start(Store::Embedded);
        app.kill();
        harm(&app.data_directory().join("refresh_secret_key"));
        let (status, said) = refused_in(app.working_directory(), &[]);
        assert_eq!(status, 1, "{said}");
        assert!(said.contains("refresh_secret_key") && said.contains(sentence), "{said}");
    }
}

#[test]
fn a_second_process_is_refused_and_the_first_goes_on() {
    let app = TestApp::start(Store::Embedded);
    let session = app.new_session();
    let (status, said) = refused_in(app.working_directory(), &[]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("held by another process") && said.contains("Redis"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(app.current_user(&session.access_token).status, 200);
    assert_eq!(app.sign_up(&unique_email(), PASSWORD).status, 201);
}

#[test]
fn the_start_says_that_the_store_serves_one_replica_only() {
    let app = TestApp::start(Store::Embedded);
    let line = app.log().into_iter().find(|line| line["message"].as_str().unwrap().contains("listening")).unwrap();
    let message = line["message"].as_str().unwrap();
    assert!(message.contains("embedded store") && message.contains("one replica only"), "{message}");
}

#[test]
fn expired_entries_disappear_from_the_file() {
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "2"), ("REFRESH_TOKEN_TTL_SECONDS", "2")];
    let app = TestApp::start_with(Store::Embedded, &settings);
    let emails: Vec<_> = (0..5).map(|_| app.new_session().email).collect();
    wait_until("all expired entries are gone", || {
        rows(&app.data_directory()).is_some_and(|rows| rows.len() == 5 && rows.iter().all(|row| row.table == "users"))
    });
    for email in emails {
        assert_eq!(app.authenticate(&email, PASSWORD).status, 200, "users never expire");
    }
}

#[test]
fn a_deleted_account_leaves_nothing_in_any_table() {
    let app = TestApp::start_with(Store::Embedded, &[("TRUSTED_PROXIES", "127.0.0.1")]);
    let bystander = app.new_session();
    let email = app.new_account();
    let sign_in = |address: &str| {
        let body = json!({"email": email, "password": PASSWORD}).to_string();
        let headers = [("X-Forwarded-For", address), ("User-Agent", "planted-agent")];
        Session::of(&email, &app.send("POST", "/authenticate", &headers, Some(&body)))
    };
    let removed = sign_in("192.0.2.71");
    assert_eq!(app.remove_access_token(&email).status, 200);
    let [first, last] = ["192.0.2.72", "192.0.2.73"].map(sign_in);
    let sids = [&removed, &first, &last].map(Session::id);
    let tag = tag(&email);
    let of_the_user: Vec<_> = [email.as_str(), &tag, "planted-agent", "192.0.2.7"]
        .into_iter()
        .chain(sids.iter().map(String::as_str))
        .collect();
    let has = |row: &Row| of_the_user.iter().any(|text| row.text.contains(text));
    wait_until("rows of the user appear", || rows(&app.data_directory()).is_some_and(|rows| rows.iter().any(has)));
    assert_eq!(app.delete_user(&last.access_token, PASSWORD).status, 200);
    wait_until("rows of the user are gone", || rows(&app.data_directory()).is_some_and(|rows| !rows.iter().any(has)));
    bystander.assert_lives([&app]);
}

/// A row of the store.
struct Row {
    table: String,
    /// The key and the value.
    text: String,
}

/// All rows in a copy of the store, because the server locks the original. `None` if a write was in progress.
fn rows(directory: &Path) -> Option<Vec<Row>> {
    let copy = tempfile::NamedTempFile::new().unwrap();
    fs::copy(directory.join("store.redb"), copy.path()).unwrap();
    let database = Database::open(copy.path()).ok()?;
    let snapshot = database.begin_read().ok()?;
    let mut rows = Vec::new();
    for table in snapshot.list_tables().ok()? {
        let name = table.name().to_owned();
        let mut add = |key: &str, value: &[u8]| {
            rows.push(Row { table: name.clone(), text: format!("{key} {}", String::from_utf8_lossy(value)) });
        };
        match name.as_str() {
            "users" => {
                for row in snapshot.open_table(TableDefinition::<&str, &[u8]>::new(&name)).ok()?.iter().ok()? {
                    let (key, value) = row.ok()?;
                    add(key.value(), value.value());
                }
            }
            "epochs" | "access" | "refresh" | "pending" | "revocations" => {
                for row in snapshot.open_table(TableDefinition::<&str, (u64, &[u8])>::new(&name)).ok()?.iter().ok()? {
                    let (key, value) = row.ok()?;
                    add(key.value(), value.value().1);
                }
            }
            "outbox" | "dead letters" => {
                let table = TableDefinition::<&str, (&str, &str, &str)>::new(&name);
                for row in snapshot.open_table(table).ok()?.iter().ok()? {
                    let (key, value) = row.ok()?;
                    let (first, second, third) = value.value();
                    add(key.value(), [first, second, third].join(" ").as_bytes());
                }
            }
            "format" | "time" | "key set" => {}
            other => panic!("the test does not know the type of the rows in the table {other}"),
        }
    }
    Some(rows)
}

#[test]
fn a_full_disk_is_503_and_the_server_recovers_without_a_restart() {
    let app = TestApp::start_on_small_disk(&[]);
    let session = app.new_session();
    let limit = |bytes: &str| {
        let arguments = ["--pid", &app.pid().to_string(), &format!("--fsize={bytes}:")];
        assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
    };
    let mut acknowledged = vec![session.email.clone()];
    for _ in 0..2 {
        limit("0");
        for _ in 0..3 {
            app.sign_up(&unique_email(), PASSWORD).assert_error(503, "store_disk_failed");
            app.send("GET", "/readyz", &[], None).assert_error(503, "store_disk_failed");
            let answer = app.current_user(&session.access_token);
            assert!([200, 503].contains(&answer.status), "{answer:?}");
            assert_eq!(app.send("GET", "/livez", &[], None).status, 200);
        }
        limit("unlimited");
        wait_until("the server is ready again", || app.send("GET", "/readyz", &[], None).status == 200);
        acknowledged.push(app.new_session().email);
        assert_eq!(app.current_user(&session.access_token).status, 200);
        assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
    }
    assert!(!app.output().contains("panicked"), "{}", app.output());
    let app = app.kill_and_restart();
    for email in acknowledged {
        assert_eq!(app.authenticate(&email, PASSWORD).status, 200);
    }
}

#[test]
fn generated_secrets_are_kept_for_the_next_start() {
    let app = TestApp::start(Store::Embedded);
    let session = app.new_session();
    let app = app.kill_and_restart();
    assert_eq!(app.current_user(&session.access_token).status, 200);
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
    let other = TestApp::start(Store::Embedded);
    other.current_user(&session.access_token).assert_error(401, "invalid_token");
}
