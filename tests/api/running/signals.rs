//! Signals other than the first SIGTERM or SIGINT, and a log that nobody reads.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    thread,
};

use serde_json::json;

use crate::support::{
    PASSWORD, Process,
    Store::{Embedded, Redis},
    TestApp, command, raw, signal, unique_email, wait_until,
};

#[test]
fn sighup_does_not_end_the_server() {
    for store in [Redis, Embedded] {
        let app = TestApp::start(store);
        let session = app.new_session();
        for n in 1..=2 {
            signal(app.pid(), "HUP");
            let said = || app.log().iter().filter(|line| line["message"].to_string().contains("SIGHUP: ")).count();
            wait_until("the signal is in the log", || said() == n);
        }
        session.assert_lives([&app]);
    }
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    for (first, second) in [("TERM", "TERM"), ("TERM", "INT"), ("INT", "TERM"), ("INT", "INT")] {
        // Without the second signal, the shutdown would wait for the request below.
        let settings = [("SHUTDOWN_DELAY_SECONDS", "300"), ("SHUTDOWN_TIMEOUT_SECONDS", "300")];
        let mut app = TestApp::start_with(Embedded, &settings);
        let email = unique_email();
        assert_eq!(app.sign_up(&email, PASSWORD).status, 201);
        let mut stuck = raw::request("POST", "/signup", &[("Content-Type", "application/json")], Some("{\"a\": 1}"));
        stuck.pop();
        let mut connection = crate::support::Connection::open(app.port());
        connection.write(&stuck).unwrap();
        signal(app.pid(), first);
        wait_until("the shutdown has begun", || app.output().contains("stopping"));
        signal(app.pid(), second);
        assert_eq!(app.wait().code(), Some(1), "{}", app.output());
        assert_eq!(app.restart().authenticate(&email, PASSWORD).status, 200, "an acknowledged write is not lost");
    }
}

/// A write to a pipe without a reader raises SIGPIPE.
#[test]
fn a_log_without_a_reader_ends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [("PORT", "0"), ("LOG_FORMAT", "json")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let mut command = command(directory.path(), &settings);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = Process::start(command);
    let mut log = BufReader::new(server.child().stdout.take().unwrap());
    let (mut line, mut port) = (String::new(), 0);
    while port == 0 {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "the server has ended");
        if let Some((_, rest)) = line.split_once("listening on http://127.0.0.1:") {
            port = rest.split(',').next().unwrap().parse().unwrap();
        }
    }
    drop(log);
    let livez = raw::request("GET", "/livez", &[], None);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    raw::exchange(port, &livez).unwrap().assert(200, &json!({"result": "Alive"}));
                }
            });
        }
    });
    signal(server.pid(), "PIPE");
    raw::exchange(port, &livez).unwrap().assert(200, &json!({"result": "Alive"}));
    signal(server.pid(), "TERM");
    assert_eq!(server.wait().code(), Some(0));
}

/// A command whose messages nobody reads must keep its exit code.
#[test]
fn a_message_without_a_reader_does_not_change_the_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [("PORT".to_owned(), "no port".to_owned())].into();
    let mut command = command(directory.path(), &settings);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(Stdio::null()).stderr(writer);
    assert_eq!(Process::start(command).wait().code(), Some(2));
}
