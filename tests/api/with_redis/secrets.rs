//! Signing secrets over several replicas: secrets that only verify, and the record that finds a replica with others.

use std::thread;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    ACCESS_SECRET, Cluster, Data, Process, REFRESH_SECRET, RedisServer, SECRETS, Session, Store, TestApp, assert_says,
    command, refused, run_to_end, wait_longer, wait_until,
};

const NEW_ACCESS: &str = "planted: a new access secret of the tests";
const NEW_REFRESH: &str = "planted: a new refresh secret of the tests";
const KEY: &str = "as:secrets";

/// The settings of the secrets.
type Pair = [(&'static str, &'static str); 2];

const OLD: Pair = SECRETS;
const NEW: Pair = [("AUTH_SECRET_KEY", NEW_ACCESS), ("REFRESH_SECRET_KEY", NEW_REFRESH)];
const VERIFY_OLD: Pair = [("AUTH_SECRET_KEY_PREVIOUS", ACCESS_SECRET), ("REFRESH_SECRET_KEY_PREVIOUS", REFRESH_SECRET)];
const VERIFY_NEW: Pair = [("AUTH_SECRET_KEY_PREVIOUS", NEW_ACCESS), ("REFRESH_SECRET_KEY_PREVIOUS", NEW_REFRESH)];

/// Runs `doctor` or another command with these secrets.
fn cli(url: &str, secrets: &[(&str, &str)], words: &[&str]) -> (i32, Value) {
    let directory = tempfile::tempdir().unwrap();
    let settings = [&[("REDIS_URL", url)], secrets].concat();
    let settings = settings.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    let mut command = command(directory.path(), &settings);
    command.args(words).arg("--json");
    let output = run_to_end(command);
    let json = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), json)
}

/// The verdict of `doctor` on the secrets. Asserts that the exit status fits the verdict.
fn verdict(url: &str, secrets: &[(&str, &str)]) -> String {
    let (status, json) = cli(url, secrets, &["doctor"]);
    let findings = json["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["check"] == "secrets").unwrap();
    let verdict = finding["verdict"].as_str().unwrap();
    assert_eq!(status, i32::from(verdict == "refusal"), "{finding}");
    verdict.to_owned()
}

#[rstest]
fn a_previous_secret_verifies_and_never_signs(#[values(Store::Redis, Store::Embedded)] store: Store) {
    let data = match store {
        // Other tests use the shared Redis with the usual secrets.
        Store::Redis => None,
        Store::Embedded => Some(Data::new(store)),
    };
    let redis = data.is_none().then(|| RedisServer::start(&[]));
    let start = |secrets: &[(&str, &str)]| match (&data, &redis) {
        (Some(data), _) => data.start(secrets),
        (None, Some(redis)) => TestApp::start_on(&redis.url(), secrets),
        (None, None) => unreachable!(),
    };
    let app = start(&OLD);
    let session = app.new_session();
    drop(app);

    let app = start(&[NEW, VERIFY_OLD].concat());
    session.assert_lives([&app]);
    let new_session = app.session_of(&session.email);
    let renewed = app.refresh_access_token(&session.refresh_token).json()["access_token"].as_str().unwrap().to_owned();
    drop(app);

    let app = start(&NEW);
    new_session.assert_lives([&app]);
    assert_eq!(app.current_user(&renewed).status, 200, "a refresh signs with the new secret");
    app.current_user(&session.access_token).assert_error(401, "invalid_token");
    app.refresh_access_token(&session.refresh_token).assert_error(401, "invalid_token");
}

#[test]
fn the_record_of_the_secrets_has_no_ttl_and_shows_no_secret() {
    let redis = RedisServer::start(&[]);
    let _app = TestApp::start_on(&redis.url(), &VERIFY_NEW);
    assert_eq!(redis.command::<i64>(&["TTL", KEY]), -1);
    let text: String = redis.command(&["GET", KEY]);
    let record: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(record["v"], 1, "{record}");
    let values: Vec<_> =
        ["access", "refresh"].iter().flat_map(|kind| [&record[kind]["signs"], &record[kind]["verifies"]]).collect();
    for (n, value) in values.iter().enumerate() {
        assert_eq!(value.as_str().unwrap().len(), 22, "{record}");
        assert!(!values[..n].contains(value), "{record}");
    }
    for secret in [ACCESS_SECRET, REFRESH_SECRET, NEW_ACCESS, NEW_REFRESH] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn a_replica_with_other_secrets_does_not_start() {
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    assert_eq!(verdict(&url, &OLD), "ok", "there is no record yet");
    assert_eq!(redis.command::<u64>(&["EXISTS", KEY]), 0, "doctor leaves no record");
    let app = TestApp::start_on(&url, &OLD);
    let session = app.new_session();
    let record: String = redis.command(&["GET", KEY]);
    for (wrong, name) in [
        (NEW.to_vec(), "AUTH_SECRET_KEY"),
        (vec![NEW[0], OLD[1]], "AUTH_SECRET_KEY"),
        (vec![OLD[0], NEW[1]], "REFRESH_SECRET_KEY"),
        ([NEW.to_vec(), vec![VERIFY_OLD[0]]].concat(), "REFRESH_SECRET_KEY"),
    ] {
        let said = refused(&[&[("REDIS_URL", &*url)], &wrong[..]].concat());
        assert_says(&said, &["secrets at", name, "docs/secrets.md", "auth-service secrets adopt"]);
        assert_eq!(verdict(&url, &wrong), "refusal");
    }
    assert_eq!(redis.command::<String>(&["GET", KEY]), record, "a server that does not start leaves the record");
    session.assert_lives([&app, &TestApp::start_on(&url, &OLD)]);
    assert_eq!(verdict(&url, &OLD), "ok");
}

/// Every step of a rotation, forward and back, with the replicas of both steps running.
#[test]
fn replicas_start_along_a_rotation_in_both_directions() {
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let steps = [OLD.to_vec(), [OLD, VERIFY_NEW].concat(), [NEW, VERIFY_OLD].concat(), NEW.to_vec()];
    let warned = |app: &TestApp| app.output().contains("did not accept tokens of this");
    let first = TestApp::start_on(&url, &steps[0]);
    let session = first.new_session();
    for (from, to) in [(0, 1), (1, 2), (2, 1), (1, 0), (0, 1), (1, 2)] {
        let [old, new] = [from, to].map(|step| TestApp::start_on(&url, &steps[step]));
        assert!(!warned(&old) && !warned(&new), "from step {from} to {to}: {}", new.output());
        let [by_old, by_new] = [&old, &new].map(|app| app.session_of(&session.email));
        for session in [by_old, by_new] {
            session.assert_lives([&old, &new]);
        }
    }
    // A replica of the first step refuses tokens of the new secret, so it must not start any more.
    let said = refused(&[&[("REDIS_URL", &*url)], &steps[0][..]].concat());
    assert_says(&said, &["AUTH_SECRET_KEY of the replica that started last"]);
    let last = TestApp::start_on(&url, &steps[3]);
    assert!(!warned(&last), "{}", last.output());
}

#[test]
fn a_rotation_without_its_first_step_is_warned_of() {
    let redis = RedisServer::start(&[]);
    let _old = TestApp::start_on(&redis.url(), &OLD);
    let skipped = [NEW, VERIFY_OLD].concat();
    assert_eq!(verdict(&redis.url(), &skipped), "warning");
    let app = TestApp::start_on(&redis.url(), &skipped);
    let warnings: Vec<_> = app.log().into_iter().filter(|line| line["level"] == "WARN").collect();
    assert!(warnings.iter().any(|line| line["message"].to_string().contains("did not accept tokens")), "{warnings:?}");
}

#[test]
fn adopted_secrets_replace_the_old_ones_at_once() {
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let old = TestApp::start_on(&url, &OLD);
    let session = old.new_session();
    let (status, json) = cli(&url, &NEW, &["secrets", "adopt"]);
    assert_eq!(status, 0, "{json}");
    let new = TestApp::start_on(&url, &NEW);
    new.current_user(&session.access_token).assert_error(401, "invalid_token");
    new.session_of(&session.email).assert_lives([&new]);
    assert_says(&refused(&[&[("REDIS_URL", &*url)], &OLD[..]].concat()), &["AUTH_SECRET_KEY"]);
    let (status, json) = cli(&url, &[], &["secrets", "adopt"]);
    assert_eq!((status, &json["code"]), (2, &json!("wrong_usage")), "{json}");
}

#[test]
fn replicas_with_different_secrets_that_start_at_once_do_not_both_start() {
    for _ in 0..3 {
        let redis = RedisServer::start(&[]);
        let url = redis.url();
        let outcomes: Vec<_> = thread::scope(|scope| {
            let starts = [OLD, NEW, OLD, NEW].map(|secrets| {
                let url = &url;
                scope.spawn(move || {
                    let said = started(url, &secrets);
                    (secrets == NEW, said)
                })
            });
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        let started: Vec<_> = outcomes.iter().filter(|(_, started)| *started).map(|(new, _)| *new).collect();
        assert_eq!(started.len(), 2, "{outcomes:?}");
        assert_eq!(started[0], started[1], "{outcomes:?}");
    }
}

/// Whether a server with these secrets starts. It is stopped again.
fn started(url: &str, secrets: &[(&str, &str)]) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let settings = [&[("REDIS_URL", url), ("PORT", "0"), ("LOG_FORMAT", "json")], secrets].concat();
    let settings = settings.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    let log = directory.path().join("log");
    let mut command = command(directory.path(), &settings);
    let file = std::fs::File::create(&log).unwrap();
    command.stdout(file.try_clone().unwrap()).stderr(file);
    let mut process = Process::start(command);
    let mut started = None;
    wait_longer(60, "the server starts or ends", || {
        let listens = std::fs::read_to_string(&log).unwrap().contains("listening on");
        started = match process.status() {
            Some(status) => {
                assert_eq!(status.code(), Some(2), "{}", std::fs::read_to_string(&log).unwrap());
                Some(false)
            }
            None => listens.then_some(true),
        };
        started.is_some()
    });
    started.unwrap()
}

/// Redis is away while the server starts. When it is back, a server with other secrets stops.
#[test]
fn other_secrets_are_found_when_redis_comes_back() {
    let mut redis = RedisServer::start(&["--appendonly", "yes"]);
    let old = TestApp::start_on(&redis.url(), &OLD);
    let session = old.new_session();
    redis.kill();
    let same = TestApp::start_on(&redis.url(), &OLD);
    let mut other = TestApp::start_on(&redis.url(), &[NEW.to_vec(), vec![("SHUTDOWN_DELAY_SECONDS", "0")]].concat());
    redis.spawn(&[]);
    assert_eq!(other.wait().code(), Some(2), "{}", other.output());
    assert_says(&other.output(), &["AUTH_SECRET_KEY", "the server stops"]);
    wait_until("the others serve", || {
        [&old, &same].iter().all(|app| app.send("GET", "/readyz", &[], None).status == 200)
    });
    session.assert_lives([&old, &same]);
}

#[test]
fn a_cluster_has_the_record_on_one_primary() {
    let cluster = Cluster::start(&[]);
    let app = TestApp::start_on(&cluster.url(), &OLD);
    let session = app.new_session();
    let has_it = |server: &RedisServer| server.command::<Vec<String>>(&["KEYS", "*"]).iter().any(|key| key == KEY);
    let count = cluster.servers[..3].iter().filter(|server| has_it(server)).count();
    assert_eq!(count, 1);
    assert_says(&refused(&[&[("REDIS_URL", &*cluster.url())], &NEW[..]].concat()), &["AUTH_SECRET_KEY"]);
    assert_eq!(verdict(&cluster.url(), &NEW), "refusal");
    session.assert_lives([&TestApp::start_on(&cluster.url(), &[OLD, VERIFY_NEW].concat())]);
}

#[test]
fn a_record_of_a_later_version_stays_and_is_warned_of() {
    let redis = RedisServer::start(&[]);
    let later = json!({"v": 2, "keys": [1]}).to_string();
    let () = redis.command(&["SET", KEY, &later]);
    assert_eq!(verdict(&redis.url(), &OLD), "warning");
    let app = TestApp::start_on(&redis.url(), &OLD);
    assert!(app.log().iter().any(|line| line["level"] == "WARN" && line.to_string().contains("later version")));
    assert_eq!(redis.command::<String>(&["GET", KEY]), later);

    // A field that this version does not know stays when a replica starts with other settings.
    let () = redis.command(&["DEL", KEY]);
    drop(TestApp::start_on(&redis.url(), &OLD));
    let mut record: Value = serde_json::from_str(&redis.command::<String>(&["GET", KEY])).unwrap();
    record["since"] = json!({"empty": []});
    let () = redis.command(&["SET", KEY, &record.to_string()]);
    let _app = TestApp::start_on(&redis.url(), &[OLD, VERIFY_NEW].concat());
    let after: Value = serde_json::from_str(&redis.command::<String>(&["GET", KEY])).unwrap();
    assert_eq!(after["since"], record["since"]);
    assert_ne!(after["access"], record["access"]);
}

/// A Redis whose memory is full takes no record. The server starts and serves what it can.
#[test]
fn a_full_redis_does_not_stop_the_start() {
    let redis = RedisServer::start(&[]);
    let session: Session = TestApp::start_on(&redis.url(), &OLD).new_session();
    let () = redis.command(&["DEL", KEY]);
    let () = redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let app = TestApp::start_on(&redis.url(), &OLD);
    assert_eq!(app.current_user(&session.access_token).status, 200);
    assert_says(&app.output(), &["the record of the secrets cannot be written now"]);
}
