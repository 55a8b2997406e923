//! The JavaScript client in Node, against three replicas on a Redis.
//!
//! These tests need Node 20 and TypeScript. `cargo test` leaves this target out; `cargo test --test node` runs it.

#![expect(clippy::unwrap_used, reason = "a test panics at the step that fails")]

#[path = "../api/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the other tests use the rest")]
mod support;

mod mails;
mod types;

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
};

use tempfile::TempDir;

use crate::support::{Mailbox, Process, RedisServer, TestApp, free_port, program, wait_longer};

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/js");

/// Three replicas on a Redis of their own. Access tokens live for two seconds, and each refresh token works once.
struct Scene {
    redis: RedisServer,
    replicas: Vec<TestApp>,
    /// Where the tests find the mails.
    mails: Option<String>,
}

impl Scene {
    fn start() -> Self {
        Self::start_with(&[])
    }

    /// The replicas send mails, also after a sign-up.
    fn start_with_mails() -> Self {
        let mailbox = Mailbox::start();
        let of_mails = mailbox.settings();
        let settings = of_mails.iter().map(|(name, value)| (*name, &**value));
        let settings: Vec<_> = settings.chain([("EMAIL_VERIFICATION", "optional")]).collect();
        Self { mails: Some(mails::serve(mailbox)), ..Self::start_with(&settings) }
    }

    fn start_with(more: &[(&str, &str)]) -> Self {
        let redis = RedisServer::start(&[]);
        let replica = || {
            let port = free_port().to_string();
            let settings = [
                // A restarted replica has the same port.
                ("PORT", &*port),
                ("ACCESS_TOKEN_TTL_SECONDS", "2"),
                ("REFRESH_TOKEN_TTL_SECONDS", "120"),
                ("REFRESH_TOKEN_ROTATION", "on"),
                ("REFRESH_GRACE_SECONDS", "0"),
            ];
            TestApp::start_on(&redis.url(), &[&settings, more].concat())
        };
        let replicas = (0..3).map(|_| replica()).collect();
        Self { redis, replicas, mails: None }
    }

    /// Runs a file of tests in `clients/js/test`.
    fn run(&self, file: &str) -> NodeTest {
        let urls = self.replicas.iter().map(|app| format!("http://127.0.0.1:{}", app.port())).collect::<Vec<_>>();
        let directory = tempfile::tempdir().unwrap();
        let mut command = program("node");
        command
            .args(["--test", "--test-reporter=tap"])
            .arg(Path::new(CLIENT).join("test").join(file))
            .env("REPLICAS", urls.join(" "))
            .env("MAILS", self.mails.as_deref().unwrap_or_default())
            .env("REDIS_PID", self.redis.pid().to_string())
            .env("READY", directory.path().join("ready"))
            .env("RESTARTED", directory.path().join("restarted"))
            .stdin(Stdio::null())
            .stdout(File::create(directory.path().join("output")).unwrap())
            .stderr(Stdio::inherit());
        NodeTest { process: Process::start(command), directory }
    }
}

/// A file of tests that Node runs.
struct NodeTest {
    process: Process,
    /// Where the two sides tell each other by a file how far they are.
    directory: TempDir,
}

impl NodeTest {
    /// Asserts that Node ran this many tests or more, and that all passed.
    #[track_caller]
    fn assert_passed(mut self, at_least: usize) {
        let mut status = None;
        wait_longer(240, "Node ends", || {
            status = self.process.status();
            status.is_some()
        });
        let output = fs::read_to_string(self.directory.path().join("output")).unwrap();
        let count = |what: &str| {
            let line = output.lines().find_map(|line| line.strip_prefix(&format!("# {what} ")));
            line.unwrap_or_else(|| panic!("no number of {what} tests in: {output}")).parse::<usize>().unwrap()
        };
        assert!(status.unwrap().success(), "{output}");
        assert!(count("pass") >= at_least && count("pass") == count("tests"), "{output}");
        output.lines().filter(|line| line.contains(" refreshes, ")).for_each(|line| eprintln!("{line}"));
    }
}

#[test]
fn a_session_works_in_node() {
    Scene::start().run("session.test.js").assert_passed(11);
}

#[test]
fn accounts_are_verified_and_protected_in_node() {
    Scene::start_with_mails().run("accounts.test.js").assert_passed(9);
}

#[test]
fn faults_of_servers_and_proxies_lose_no_tokens() {
    Scene::start().run("faults.test.js").assert_passed(34);
}

#[test]
fn restarts_of_the_replicas_lose_no_session() {
    let mut scene = Scene::start();
    let node = scene.run("restarts.test.js");
    wait_longer(60, "the clients have signed in", || node.directory.path().join("ready").exists());
    for round in 0..4 {
        for _ in 0..3 {
            let mut replica = scene.replicas.remove(0);
            if round % 2 == 0 {
                replica.terminate();
                assert!(replica.wait().success());
            } else {
                replica.kill();
            }
            scene.replicas.push(replica.restart());
        }
    }
    File::create(node.directory.path().join("restarted")).unwrap();
    node.assert_passed(1);
}

#[test]
fn an_outage_of_redis_loses_no_session() {
    Scene::start().run("outage.test.js").assert_passed(1);
}

#[test]
fn the_examples_of_the_documentation_run() {
    Scene::start_with_mails().run("documentation.test.js").assert_passed(4);
}
