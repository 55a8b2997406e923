//! The embedded store as a process has it: durable, private, of one process alone, and tidy.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use auth_service::clock::unix_seconds;
use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};
use serde_json::{Value, json};

use crate::{
    app::{PASSWORD, Session, TestApp, unique_email},
    raw,
    redis_server::{signal, wait_until},
    runner::Store,
    session::wait_until_after,
    suite,
};

suite! {
    plain: [
        kill_in_a_flood_of_signups_loses_none_that_was_acknowledged,
        tokens_and_removals_survive_a_kill,
        generated_secrets_survive_a_restart,
        data_directory_and_secrets_are_private,
        a_directory_open_to_others_is_refused,
        a_secret_file_open_to_others_or_cut_short_is_refused,
        a_second_process_is_refused_and_the_first_goes_on,
        it_says_that_it_serves_one_replica_only,
        expired_sessions_disappear_from_the_file,
        a_full_disk_is_503_and_passes_without_a_restart,
    ]
    every_store: [
        an_expired_token_is_401_on_every_store,
        a_life_of_a_session_is_the_same_on_every_store,
    ]
}

/// Signs up new emails from many threads until the server is gone; returns those that were answered with 201.
pub(crate) fn flood_of_signups(app: &TestApp, stop: impl FnOnce()) -> Vec<String> {
    let acknowledged = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let email = unique_email();
                    let body = json!({"email": email, "password": PASSWORD}).to_string();
                    let headers = [("Content-Type", "application/json")];
                    let request = raw::request("POST", "/signup", &headers, Some(&body));
                    match raw::exchange(app.port(), &request) {
                        Some(answer) if answer.status == 201 => acknowledged.lock().unwrap().push(email),
                        // A full queue is an honest answer too.
                        Some(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
                        None => return,
                    }
                }
            });
        }
        wait_until("sign-ups flow", || acknowledged.lock().unwrap().len() >= 60);
        stop();
    });
    acknowledged.into_inner().unwrap()
}

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
    assert!(!app.output().contains("were generated"), "the second start generates none: {}", app.output());
}

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

fn a_directory_open_to_others_is_refused() {
    for mode in [0o750, 0o705, 0o777, 0o701] {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("data");
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
        let (status, said) = TestApp::refused(parent.path(), &[]);
        assert_eq!(status, 2, "{said}");
        assert!(said.contains("DATA_DIR") && said.contains("chmod 700"), "{said}");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "nothing was written there");
    }
}

fn a_secret_file_open_to_others_or_cut_short_is_refused() {
    type Harm = fn(&Path);
    let open: Harm = |path| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let cut: Harm = |path| fs::write(path, "short").unwrap();
    for (harm, sentence) in [(open, "chmod 600"), (cut, "not a whole secret")] {
        let mut app = TestApp::start(Store::Embedded);
        app.kill();
        harm(&app.data_directory().join("refresh_secret_key"));
        let (status, said) = TestApp::refused(app.working_directory(), &[]);
        assert_eq!(status, 1, "{said}");
        assert!(said.contains("refresh_secret_key") && said.contains(sentence), "{said}");
    }
}

fn a_second_process_is_refused_and_the_first_goes_on() {
    let app = TestApp::start(Store::Embedded);
    let session = app.new_session();
    let (status, said) = TestApp::refused(app.working_directory(), &[]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("held by another process") && said.contains("Redis"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(app.current_user(&session.access_token).status, 200);
    assert_eq!(app.sign_up(&unique_email(), PASSWORD).status, 201);
}

fn it_says_that_it_serves_one_replica_only() {
    let app = TestApp::start(Store::Embedded);
    let line = app.log().into_iter().find(|line| line["message"].as_str().unwrap().contains("listening")).unwrap();
    let message = line["message"].as_str().unwrap();
    assert!(message.contains("embedded store") && message.contains("one replica only"), "{message}");
}

fn expired_sessions_disappear_from_the_file() {
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "2"), ("REFRESH_TOKEN_TTL_SECONDS", "2")];
    let app = TestApp::start_with(Store::Embedded, &settings);
    let sessions: Vec<Session> = (0..5).map(|_| app.new_session()).collect();
    wait_until("all expired entries are gone", || entries(&app.data_directory()) == Some((5, 0)));
    for session in sessions {
        assert_eq!(app.authenticate(&session.email, PASSWORD).status, 200, "users never expire");
    }
}

/// Users and sessions in a copy of the store, as the server holds the file itself; `None` amid a write.
fn entries(directory: &Path) -> Option<(u64, u64)> {
    const USERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("users");
    type SessionValue = (&'static str, u64, u64, &'static [u8]);
    const SESSIONS: TableDefinition<'_, (&str, &str), SessionValue> = TableDefinition::new("sessions");
    let copy = tempfile::NamedTempFile::new().unwrap();
    fs::copy(directory.join("store.redb"), copy.path()).unwrap();
    let database = Database::open(copy.path()).ok()?;
    let snapshot = database.begin_read().ok()?;
    let users = snapshot.open_table(USERS).ok()?.len().ok()?;
    Some((users, snapshot.open_table(SESSIONS).ok()?.len().ok()?))
}

fn a_full_disk_is_503_and_passes_without_a_restart() {
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
            app.sign_up(&unique_email(), PASSWORD).assert_error(503, "store_refused");
            app.send("GET", "/readyz", &[], None).assert_error(503, "store_refused");
            let answer = app.current_user(&session.access_token);
            assert!([200, 503].contains(&answer.status), "{answer:?}");
            assert_eq!(app.send("GET", "/livez", &[], None).status, 200);
        }
        limit("unlimited");
        wait_until("it is ready again", || app.send("GET", "/readyz", &[], None).status == 200);
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

fn an_expired_token_is_401_on_every_store(store: Store) {
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "1"), ("REFRESH_TOKEN_TTL_SECONDS", "1")];
    let app = TestApp::start_with(store, &settings);
    let session = app.new_session();
    let refused = |answer: &raw::Answer| answer.status == 401;
    wait_until("the access token ends", || refused(&app.current_user(&session.access_token)));
    wait_until("the refresh token ends", || refused(&app.refresh_access_token(&session.refresh_token)));
    app.refresh_access_token(&session.refresh_token).assert_error(401, "token_expired");
    // The store counts from when it came to the sign-in, which is later than the server by what that took.
    wait_until_after(unix_seconds() + 1);
    app.remove_access_token(&session.email).assert_error(404, "token_not_found");
    assert_eq!(app.session_of(&session.email).email, session.email);
}

/// Every outcome of a session's life, in the words of the contract; whatever the store, they are these.
fn a_life_of_a_session_is_the_same_on_every_store(store: Store) {
    let app = Arc::new(TestApp::start(store));
    let outcome = |answer: &raw::Answer| {
        let body = answer.json();
        (answer.status, body["code"].as_str().or(body["result"].as_str()).unwrap().to_owned())
    };
    let Session { email, access_token, refresh_token } = app.new_session();
    let stranger = unique_email();
    let with_email = |email: &str| {
        let authorization = [("Authorization", access_token.as_str())];
        app.send("GET", "/user", &authorization, Some(&json!({"email": email}).to_string()))
    };
    let refresh = |token: &Value| app.send_json("POST", "/refresh-access-token", &json!({"refresh_token": token}));
    let outcomes = [
        app.sign_up(&email, PASSWORD),
        app.authenticate(&email, "wrong"),
        app.authenticate(&stranger, PASSWORD),
        app.current_user(&access_token),
        with_email(&email),
        with_email(&stranger),
        app.current_user(&refresh_token),
        refresh(&json!(refresh_token)),
        refresh(&json!(access_token)),
        app.remove_access_token(&stranger),
        app.remove_access_token(&email),
        app.remove_access_token(&email),
        app.current_user(&access_token),
        refresh(&json!(refresh_token)),
        app.authenticate(&email, PASSWORD),
        app.send("GET", "/readyz", &[], None),
    ]
    .map(|answer| outcome(&answer));
    let expected = [
        (409, "email_taken"),
        (401, "invalid_credentials"),
        (401, "invalid_credentials"),
        (200, "User profile fetched successfully"),
        (200, "User profile fetched successfully"),
        (404, "user_not_found"),
        (401, "invalid_token"),
        (200, "Access token refreshed successfully"),
        (401, "invalid_token"),
        (404, "token_not_found"),
        (200, "Access token removed"),
        (404, "token_not_found"),
        (401, "invalid_token"),
        (404, "token_not_found"),
        (200, "Authentication successful"),
        (200, "Ready"),
    ];
    assert_eq!(outcomes, expected.map(|(status, text)| (status, text.to_owned())));
}
