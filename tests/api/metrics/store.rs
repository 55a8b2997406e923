//! The metrics of the store, through its outages.

use rstest::rstest;

use crate::support::{
    FakeClock, Keys, METRICS, PASSWORD, RedisServer, Session, Store, TestApp, unique_email, wait_until,
};

const CODES: [&str; 12] = [
    "store_unreachable",
    "store_timeout",
    "store_loading",
    "store_read_only",
    "store_out_of_memory",
    "store_disk_failed",
    "store_not_replicated",
    "store_refused",
    "store_not_permitted",
    "store_busy",
    "store_cluster_down",
    "store_newer_version",
];

fn errors(app: &TestApp, code: &str) -> f64 {
    app.metric(&format!("store_errors_total{{code=\"{code}\"}}")).unwrap()
}

fn requests(app: &TestApp, kind: &str) -> f64 {
    app.metric(&format!("store_request_duration_seconds_count{{kind=\"{kind}\"}}")).unwrap()
}

fn wait_for_up(app: &TestApp, up: f64) {
    wait_until("the store is up or down", || app.metric("store_up") == Some(up));
}

fn start() -> (RedisServer, TestApp, Session) {
    let redis = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let app = TestApp::start_on(&redis.url(), &[METRICS]);
    let session = app.new_session();
    (redis, app, session)
}

#[rstest]
fn each_request_to_the_store_counts_and_a_well_store_has_no_errors(
    #[values(Store::Redis, Store::Embedded)] store: Store,
) {
    let app = TestApp::start_with(store, &[METRICS]);
    let session = app.new_session();
    let before = ["read", "write"].map(|kind| requests(&app, kind));
    for _ in 0..10 {
        assert_eq!(app.current_user(&session.access_token).status, 200);
    }
    assert_eq!(["read", "write"].map(|kind| requests(&app, kind)), [before[0] + 10.0, before[1]]);
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
    assert_eq!(["read", "write"].map(|kind| requests(&app, kind)), [before[0] + 10.0, before[1] + 1.0]);
    let seconds = app.metric("store_request_duration_seconds_sum{kind=\"write\"}").unwrap();
    assert!(seconds > 0.0 && seconds < 10.0, "{seconds}");
    for code in CODES {
        assert_eq!(errors(&app, code), 0.0, "{code}");
    }
    let counts = ["store_up", "store_reconnects_total", "store_failovers_total"].map(|name| app.metric(name));
    assert_eq!(counts, [Some(1.0), Some(0.0), Some(0.0)]);
}

#[test]
fn redis_killed_is_down_until_it_is_back_and_the_connections_are_new() {
    let (mut redis, app, session) = start();
    redis.kill();
    wait_for_up(&app, 0.0);
    app.current_user(&session.access_token).assert_error(503, "store_unreachable");
    assert_eq!(errors(&app, "store_unreachable"), 1.0);
    assert_eq!(app.metric("store_reconnects_total"), Some(0.0));
    redis.restart();
    wait_for_up(&app, 1.0);
    let workers = std::thread::available_parallelism().unwrap().get();
    assert!(app.metric("store_reconnects_total").unwrap() >= workers as f64);
    assert_eq!(app.metric("store_failovers_total"), Some(0.0), "it is the same server");
    assert_eq!(app.current_user(&session.access_token).status, 200);
}

/// The first connection is no reconnect, even if it opens late.
#[test]
fn redis_away_at_the_start_is_down_without_a_reconnect() {
    let mut redis = RedisServer::start(&[]);
    redis.kill();
    let app = TestApp::start_on(&redis.url(), &[METRICS]);
    assert_eq!(app.metric("store_up"), Some(0.0));
    assert_eq!(app.metric("store_clock_offset_seconds"), None, "nobody knows the time of the store");
    redis.restart();
    wait_for_up(&app, 1.0);
    assert_eq!(app.metric("store_reconnects_total"), Some(0.0));
    assert!(app.metric("store_clock_offset_seconds").is_some());
}

#[test]
fn redis_frozen_is_a_timeout() {
    let (redis, app, session) = start();
    redis.freeze();
    app.current_user(&session.access_token).assert_error(503, "store_timeout");
    assert_eq!(errors(&app, "store_timeout"), 1.0);
    wait_for_up(&app, 0.0);
    redis.thaw();
    wait_for_up(&app, 1.0);
}

#[test]
fn redis_out_of_memory_is_down_though_it_answers() {
    let (redis, app, session) = start();
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    app.sign_up(&unique_email(), PASSWORD).assert_error(503, "store_out_of_memory");
    assert_eq!((errors(&app, "store_out_of_memory"), app.metric("store_up")), (1.0, Some(0.0)));
    assert_eq!(app.current_user(&session.access_token).status, 200);
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    wait_for_up(&app, 1.0);
}

#[test]
fn a_value_of_a_later_version_is_an_error_of_the_store() {
    let (redis, app, session) = start();
    let get = |key: &str| redis.command::<String>(&["GET", key]);
    let set = |key: &str, text: &str| redis.command::<()>(&["SET", key, text, "KEEPTTL"]);
    let later = |key: &str| set(key, &get(key).replacen("\"v\":1", "\"v\":3", 1));
    later(&Keys::of(&session).access());
    app.current_user(&session.access_token).assert_error(503, "store_newer_version");
    assert_eq!(errors(&app, "store_newer_version"), 1.0);
    later(&Keys::of(&session).user());
    app.authenticate(&session.email, PASSWORD).assert_error(503, "store_newer_version");
    assert_eq!(errors(&app, "store_newer_version"), 2.0);
    assert_eq!(app.metric("store_up"), Some(1.0));
}

#[rstest]
fn the_offset_is_the_clock_of_the_machine_minus_that_of_the_store(
    #[values(Store::Redis, Store::Embedded)] store: Store,
) {
    let clock = FakeClock::new(0);
    let app = TestApp::start_with(store, &[&[METRICS], &clock.settings()[..]].concat());
    for seconds in [0, 600, -600] {
        clock.set(seconds);
        let offset = app.metric("store_clock_offset_seconds").unwrap();
        assert!((offset - seconds as f64).abs() < 1.0, "{offset} instead of {seconds}");
    }
}

#[test]
fn a_full_disk_is_down_until_there_is_room() {
    let app = TestApp::start_on_small_disk(&[METRICS]);
    let limit = |bytes: &str| {
        let mut prlimit = std::process::Command::new("prlimit");
        prlimit.args(["--pid", &app.pid().to_string(), &format!("--fsize={bytes}:")]);
        assert!(prlimit.status().unwrap().success());
    };
    app.new_account();
    limit("0");
    app.sign_up(&unique_email(), PASSWORD).assert_error(503, "store_disk_failed");
    assert_eq!((errors(&app, "store_disk_failed"), app.metric("store_up")), (1.0, Some(0.0)));
    limit("unlimited");
    wait_for_up(&app, 1.0);
    app.new_account();
}
