//! `AUDIT_LOG`: no flood of other lines, no renamed file and no full disk loses a line of the audit trail.

use std::{
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
};

use serde_json::{Value, json};

use crate::support::{
    Connection, METRICS, PASSWORD, Store, TestApp, assert_says, free_port, metric_at, new_session, raw, refused_in,
    signal, start_with_own_reader, unique_email, wait_longer, wait_until,
};

/// With this limit, each removal of tokens after the first is refused at once, and is one line of the audit trail.
const ONE_REMOVAL: (&str, &str) = ("ADDRESS_LIMIT", "1");
/// The longest request id, so that few lines fill the buffers.
const LONG_ID: &str = "an-id-of-64-bytes-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
/// A trace, for the same reason.
const TRACE: (&str, &str) = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

fn lines_of(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "the file ends within a line");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn events(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["event"].as_str().unwrap()).collect()
}

fn removal() -> Vec<u8> {
    let headers = [("Content-Type", "application/json"), ("X-Request-Id", LONG_ID)];
    raw::request("DELETE", "/access-token", &headers, Some(&json!({"email": unique_email()}).to_string()))
}

#[test]
fn the_file_has_one_line_for_each_event_and_the_log_has_none() {
    let app = TestApp::start_with(Store::Embedded, &[("AUDIT_LOG", "audit.log"), ("LOG_FORMAT", "text")]);
    let path = app.working_directory().join("audit.log");
    let session = app.new_session();
    assert_eq!(app.authenticate(&session.email, "wrong password").status, 401);
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    let expected = ["signed_up", "signed_in", "sign_in_failed", "refreshed", "tokens_removed"];
    wait_until("the lines are written", || lines_of(&path).len() >= expected.len());
    let lines = lines_of(&path);
    assert_eq!(events(&lines), expected);
    assert!(lines.iter().all(|line| line["user_id"] == lines[0]["user_id"] && line["target"] == "audit"), "{lines:?}");
    assert!(lines[0]["user_id"].is_string());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let output = app.output();
    assert!(output.contains("TOKEN_REMOVAL=open") && !output.contains("signed_in"), "{output}");
    // A restarted server appends.
    let app = app.kill_and_restart();
    assert_eq!(app.authenticate(&session.email, PASSWORD).status, 200);
    wait_until("the line is written", || lines_of(&path).len() > expected.len());
    assert_eq!(events(&lines_of(&path)).last(), Some(&"signed_in"));
}

#[test]
fn a_file_that_cannot_be_written_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    for (value, words) in [
        ("no-such-directory/audit.log", "AUDIT_LOG names a file that cannot be written: No such file"),
        (".", "it is not a regular file"),
        ("/dev/full", "it is not a regular file"),
        ("Off", "AUDIT_LOG must be stdout or the path of a file"),
        ("stderr", "AUDIT_LOG must be stdout or the path of a file"),
    ] {
        let (status, said) = refused_in(directory.path(), &[("AUDIT_LOG", value)]);
        assert_eq!(status, 2, "{said}");
        assert_says(&said, &[words]);
    }
}

#[test]
fn a_flood_of_token_checks_loses_no_line_of_the_trail_while_nobody_reads_the_log() {
    for file in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let listen = free_port();
        let metrics = ("METRICS_LISTEN", &*format!("127.0.0.1:{listen}"));
        let settings = if file { vec![metrics, ("AUDIT_LOG", "audit.log")] } else { vec![metrics] };
        let (mut server, mut log, port) = start_with_own_reader(directory.path(), &settings);
        let session = new_session(port);
        let headers = [("Content-Type", "application/json")];
        let body = json!({"refresh_token": session.refresh_token}).to_string();
        let refresh = raw::request("POST", "/refresh-access-token", &headers, Some(&body));
        let check = raw::request("GET", "/user", &[("X-Request-Id", LONG_ID), TRACE], None);
        let status = |connection: &mut Connection, request: &[u8]| {
            connection.write(request).unwrap();
            connection.read().unwrap().status
        };
        // The pipe, the buffer and the lines that the thread holds are 4.1 MiB, and a line has more than 300 bytes.
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut connection = Connection::open(port);
                    (0..4_000).for_each(|_| assert_eq!(status(&mut connection, &check), 401));
                });
            }
            let mut connection = Connection::open(port);
            (0..100).for_each(|_| assert_eq!(status(&mut connection, &refresh), 200));
        });
        let dropped = metric_at(listen, "log_lines_dropped_total").unwrap();
        assert_eq!(metric_at(listen, "audit_lines_lost_total"), Some(0.0));
        let read = thread::spawn(move || {
            let mut text = String::new();
            log.read_to_string(&mut text).unwrap();
            text
        });
        signal(server.pid(), "TERM");
        server.wait();
        let log = read.join().unwrap();
        assert!(dropped > 0.0 && log.contains("log lines were dropped"), "the flood was too small");
        let log: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let in_log: Vec<_> =
            log.into_iter().filter(|line| line["target"] == "audit" && line["level"] == "INFO").collect();
        let trail = if file { lines_of(&directory.path().join("audit.log")) } else { in_log.clone() };
        assert!(!file || in_log.is_empty(), "{in_log:?}");
        assert_eq!(events(&trail), [&["signed_up", "signed_in"][..], &["refreshed"; 100]].concat());
    }
}

/// A change must have its line, so nothing changes while there is no room for lines. Reads go on.
#[test]
fn writes_wait_while_the_trail_is_full() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [ONE_REMOVAL, ("REQUEST_TIMEOUT_SECONDS", "1")];
    let (mut server, mut log, port) = start_with_own_reader(directory.path(), &settings);
    let mut connection = Connection::open(port);
    let mut remove = || {
        connection.write(&removal()).unwrap();
        connection.read().unwrap()
    };
    assert_eq!(remove().status, 404);
    let mut refused = 0;
    let late = loop {
        let answer = remove();
        if answer.status != 429 {
            break answer;
        }
        refused += 1;
        assert!(refused < 50_000, "the trail is never full");
    };
    late.assert_error(503, "deadline_exceeded");
    assert!(refused > 1_000, "{refused}");
    assert_eq!(raw::exchange(port, &raw::request("GET", "/user", &[], None)).unwrap().status, 401);
    let text = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut text = String::new();
            log.read_to_string(&mut text).unwrap();
            text
        });
        wait_longer(30, "writes go on", || {
            let answer = remove();
            refused += usize::from(answer.status == 429);
            answer.status == 429
        });
        signal(server.pid(), "TERM");
        server.wait();
        reader.join().unwrap()
    });
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert_eq!(lines.filter(|line| line["event"] == "throttled").count(), refused);
}

/// What logrotate does: rename the file, then send SIGHUP.
#[test]
fn a_rotation_of_the_file_loses_no_line() {
    let app = TestApp::start_with(Store::Embedded, &[("AUDIT_LOG", "audit.log"), ONE_REMOVAL]);
    let path = app.working_directory().join("audit.log");
    let rotated = |n: usize| app.working_directory().join(format!("audit.log.{n}"));
    let (refused, ends) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut connection = Connection::open(app.port());
                while !ends.load(Relaxed) {
                    connection.write(&removal()).unwrap();
                    refused.fetch_add(usize::from(connection.read().unwrap().status == 429), Relaxed);
                }
            });
        }
        let more = |count: usize| {
            let goal = refused.load(Relaxed) + count;
            wait_until("more calls are refused", || refused.load(Relaxed) >= goal);
        };
        for n in 0..5 {
            more(50);
            fs::rename(&path, rotated(n)).unwrap();
            more(50);
            signal(app.pid(), "HUP");
            wait_until("the file is there again", || path.exists());
        }
        more(50);
        ends.store(true, Relaxed);
    });
    let all = || (0..5).map(rotated).chain([path.clone()]).flat_map(|path| lines_of(&path)).count();
    wait_until("all lines are written", || all() >= refused.load(Relaxed));
    assert_eq!(all(), refused.load(Relaxed));
}

#[test]
fn lines_that_the_disk_does_not_take_are_in_the_log() {
    let app = TestApp::start_on_small_disk(&[("AUDIT_LOG", "audit.log"), ONE_REMOVAL, METRICS]);
    let path = app.working_directory().join("audit.log");
    let limit = |bytes: &str| {
        let arguments = ["--pid", &app.pid().to_string(), &format!("--fsize={bytes}:")];
        assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
    };
    let remove = |count: usize| {
        for _ in 0..count {
            raw::exchange(app.port(), &removal()).unwrap().assert_error(429, "too_many_attempts");
        }
    };
    let in_log = || app.log().into_iter().filter(|line| line["event"] == "throttled").count();
    let says = |level: &str, words: &str| {
        let message = |line: &Value| line["message"].as_str().unwrap_or_default().contains(words);
        app.log().iter().filter(|line| line["level"] == level && message(line)).count()
    };
    assert_eq!(raw::exchange(app.port(), &removal()).unwrap().status, 404);
    remove(10);
    wait_until("the lines are in the file", || lines_of(&path).len() == 10);
    // The next line fits only in part.
    limit(&(fs::metadata(&path).unwrap().len() + 100).to_string());
    remove(10);
    let failing_and_lost = || ["audit_log_failing", "audit_lines_lost_total"].map(|name| app.metric(name).unwrap());
    wait_until("the lines are in the log", || in_log() == 10);
    assert_eq!(failing_and_lost(), [1.0, 0.0]);
    assert_eq!(says("ERROR", "AUDIT_LOG cannot be written: File too large"), 1);
    limit("unlimited");
    remove(10);
    wait_until("the file is written again", || says("INFO", "AUDIT_LOG is written again") == 1);
    wait_until("the metric says so", || failing_and_lost() == [0.0, 0.0]);
    let whole = || {
        let text = fs::read_to_string(&path).unwrap();
        text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count()
    };
    wait_until("the lines are in the file", || whole() == 20);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 21, "20 lines and the part of one");
    assert_eq!(in_log(), 10);
}

#[test]
fn a_file_that_is_deleted_is_made_again() {
    let app = TestApp::start_with(Store::Embedded, &[("AUDIT_LOG", "audit.log")]);
    let path = app.working_directory().join("audit.log");
    app.new_account();
    wait_until("the line is written", || lines_of(&path).len() == 1);
    fs::remove_file(&path).unwrap();
    app.new_session();
    wait_until("the lines are written", || lines_of(&path).len() == 2);
    assert_eq!(events(&lines_of(&path)), ["signed_up", "signed_in"]);
    // Without a directory, the file cannot be opened again, and the server goes on.
    let settings = [("AUDIT_LOG", "logs/audit.log")];
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("logs")).unwrap();
    let other = TestApp::start_in(directory.into(), &settings);
    fs::rename(other.working_directory().join("logs"), other.working_directory().join("moved")).unwrap();
    signal(other.pid(), "HUP");
    wait_until("the failure is logged", || other.output().contains("AUDIT_LOG cannot be opened again"));
    other.new_account();
    wait_until("the line is written", || lines_of(&other.working_directory().join("moved/audit.log")).len() == 1);
}
