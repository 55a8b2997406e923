//! Disks that are full, and a log that nobody reads.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{ChildStdout, Command},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    site::{Ports, Site, site_of},
    support::{PASSWORD, Process, RedisServer, SECRETS, TestApp, load::post, raw, start_with_own_reader, unique_email},
    traffic::Traffic,
};

/// Limits the size of the files that a server on a small disk can write.
fn limit(app: &TestApp, bytes: &str) {
    let arguments = ["--pid", &app.pid().to_string(), &format!("--fsize={bytes}:")];
    assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
}

#[test]
fn the_disk_of_the_embedded_store_is_full() {
    let (mut site, apps) = site_of(1, &[], TestApp::start_on_small_disk);
    let _traffic = Traffic::usual(&apps);
    let since = Instant::now();
    limit(&apps[0], "0");
    site.expect("the disk of the embedded store is full", since, &["AuthServiceStoreRefusesWrites"]);
    let since = Instant::now();
    limit(&apps[0], "unlimited");
    site.expect_peace("the disk has room", since);
}

#[test]
fn the_disk_of_the_audit_trail_is_full() {
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let settings = [&SECRETS[..], &[("REDIS_URL", url.as_str()), ("AUDIT_LOG", "audit.log")]].concat();
    let (mut site, apps) = site_of(1, &settings, TestApp::start_on_small_disk);
    let _traffic = Traffic::usual(&apps);
    apps[0].new_account();
    let since = Instant::now();
    let size = fs::metadata(apps[0].working_directory().join("audit.log")).unwrap().len();
    limit(&apps[0], &(size + 100).to_string());
    site.expect("the disk of AUDIT_LOG is full", since, &["AuthServiceAuditLogFails"]);
    let since = Instant::now();
    limit(&apps[0], "unlimited");
    site.expect_peace("the disk has room", since);
}

/// A server that Prometheus watches. The test may leave its log unread.
fn with_own_reader(directory: &TempDir, settings: &[(&str, &str)]) -> (Site, Process, BufReader<ChildStdout>, u16) {
    let ports = Ports::new();
    let listen = format!("127.0.0.1:{}", ports.metrics);
    let settings = [&[("METRICS_LISTEN", listen.as_str())], settings].concat();
    let (server, log, port) = start_with_own_reader(directory.path(), &settings);
    (Site::watching(&[ports], 1), server, log, port)
}

#[test]
fn nobody_reads_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let (mut site, server, log, port) = with_own_reader(&directory, &[("AUDIT_LOG", "audit.log")]);
    let since = Instant::now();
    let flood = Traffic::of(4, Duration::ZERO, move |_| {
        let _ = raw::exchange(port, &raw::request("GET", "/user", &[], None));
    });
    site.expect("nobody reads standard output", since, &["AuthServiceLogLinesDropped"]);
    let since = Instant::now();
    drop(flood);
    let reader = thread::spawn(move || log.lines().count());
    site.expect_peace("a program reads standard output", since);
    drop(server);
    reader.join().unwrap();
}

#[test]
fn the_reader_of_the_log_has_ended() {
    let directory = tempfile::tempdir().unwrap();
    let (mut site, _server, log, port) = with_own_reader(&directory, &[]);
    let since = Instant::now();
    drop(log);
    let account = json!({"email": unique_email(), "password": PASSWORD});
    assert_eq!(post(port, "/signup", &account).unwrap().status, 201);
    assert_eq!(post(port, "/authenticate", &account).unwrap().status, 200);
    site.may_fire(&["AuthServiceLogLinesDropped"]);
    site.expect("standard output is closed", since, &["AuthServiceAuditLinesLost"]);
    site.expect_peace("no more lines are lost", Instant::now());
}
