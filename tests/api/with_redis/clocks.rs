//! Replicas whose clocks are wrong, or are set while they serve: the time of Redis counts.

use serde_json::Value;

use crate::support::{
    FakeClock, PASSWORD, RedisServer, Session, TestApp, every_worker, raw, tag, text, time, unique_email, unix_seconds,
    wait_until,
};

const TEN_MINUTES: i64 = 600;

/// Whether a time of the server is the time of Redis, which uses the clock of this machine.
fn is_right(seconds: u64) -> bool {
    seconds.abs_diff(unix_seconds()) <= 10
}

fn seconds(time: &Value) -> u64 {
    let time = humantime::parse_rfc3339(time.as_str().unwrap()).unwrap();
    time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// Asserts that a replica uses the time of Redis everywhere. Returns the session of the check.
#[track_caller]
fn assert_right_times(redis: &RedisServer, app: &TestApp) -> Session {
    let session = app.new_session();
    let refreshed = text(&app.refresh_access_token(&session.refresh_token), "access_token");
    for (token, life) in [(&session.access_token, 60), (&session.refresh_token, 120), (&refreshed, 60)] {
        assert!(is_right(time(token, "iat")), "{token}");
        assert_eq!(time(token, "exp") - time(token, "iat"), life);
    }
    for (kind, life) in [("a", 60), ("r", 120)] {
        let key = format!("as:{{{}}}:{kind}:{}", tag(&session.email), session.id());
        let ttl: u64 = redis.command(&["TTL", &key]);
        assert!((life - 10..=life).contains(&ttl), "{key} {ttl}");
    }
    for listed in app.sessions(&session.access_token) {
        assert!(is_right(seconds(&listed["created_at"])) && is_right(seconds(&listed["last_used_at"])), "{listed}");
    }
    let user = app.current_user(&session.access_token).json();
    assert!(is_right(seconds(&user["data"]["created_at"])), "{user}");
    session
}

/// The lines of the log about the clock, each with its level.
fn about_the_clock(app: &TestApp) -> Vec<String> {
    let lines = app.log().into_iter().map(|line| format!("{} {}", line["level"], line["message"]));
    lines.filter(|line| line.contains("the clock of") || line.contains("the clocks of")).collect()
}

#[track_caller]
fn assert_warned_once(app: &TestApp, of: &str) {
    wait_until("the difference is in the log", || !about_the_clock(app).is_empty());
    let lines = about_the_clock(app);
    assert!(lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains(of), "{lines:?}");
}

#[test]
fn a_replica_whose_clock_is_wrong_works_like_the_others() {
    let redis = RedisServer::start(&[]);
    let clocks = [FakeClock::new(TEN_MINUTES), FakeClock::new(-TEN_MINUTES)];
    let wrong = clocks.each_ref().map(|clock| TestApp::start_on(&redis.url(), &clock.settings()));
    let right = TestApp::start_on(&redis.url(), &[]);
    let [ahead, behind] = &wrong;
    for app in [ahead, behind, &right] {
        assert_right_times(&redis, app).assert_lives([ahead, behind, &right]);
    }
    assert_warned_once(ahead, "behind this machine's");
    assert_warned_once(behind, "ahead of this machine's");
    assert!(about_the_clock(&right).is_empty(), "{:?}", about_the_clock(&right));
    for (app, direction) in [(ahead, "s behind this machine's"), (behind, "s ahead of this machine's")] {
        let output = app.cli(&["doctor", "--json"]);
        assert_eq!(output.status.code(), Some(0));
        let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
        let clock = findings["findings"].as_array().unwrap().iter().find(|f| f["check"] == "clock").unwrap().clone();
        assert_eq!(clock["verdict"], "warning", "{clock}");
        let seen = clock["seen"].as_str().unwrap();
        let difference: f64 = seen.split(' ').next().unwrap().parse().unwrap();
        assert!((difference - 600.0).abs() < 5.0 && seen.ends_with(direction), "{clock}");
    }
}

#[test]
fn the_limits_on_guesses_hold_on_a_replica_whose_clock_is_wrong() {
    let redis = RedisServer::start(&[]);
    let clocks = [FakeClock::new(TEN_MINUTES), FakeClock::new(-TEN_MINUTES)];
    let apps = clocks.each_ref().map(|clock| TestApp::start_on(&redis.url(), &clock.settings()));
    for [first, second] in [[&apps[0], &apps[1]], [&apps[1], &apps[0]]] {
        let email = first.new_account();
        let throttled = || first.authenticate(&email, "not the password").status == 429;
        wait_until("the guesses have to wait", throttled);
        let answer = second.authenticate(&email, "not the password");
        assert_eq!(answer.status, 429, "{answer:?}");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{answer:?}");
        wait_until("the wait is over", || second.authenticate(&email, PASSWORD).status == 200);
    }
}

#[test]
fn a_clock_that_is_set_while_the_replica_serves_changes_nothing() {
    let redis = RedisServer::start(&[]);
    let clock = FakeClock::new(0);
    let app = TestApp::start_on(&redis.url(), &clock.settings());
    let other = TestApp::start_on(&redis.url(), &[]);
    let first = assert_right_times(&redis, &app);
    let mut known = 0;
    for (offset, said) in [
        (TEN_MINUTES, Some("behind this machine's")),
        (TEN_MINUTES + 60, None),
        (-TEN_MINUTES, Some("ahead of this machine's")),
        (0, Some("agree again")),
    ] {
        clock.set(offset);
        assert_right_times(&redis, &app).assert_lives([&app, &other]);
        first.assert_lives([&app, &other]);
        if let Some(said) = said {
            wait_until("the change is in the log", || about_the_clock(&app).len() > known);
            known += 1;
            let lines = about_the_clock(&app);
            assert!(lines.len() == known && lines[known - 1].contains(said), "{lines:?}");
        }
    }
}

/// Without the time of Redis, no one can say that a token has expired.
#[test]
fn a_wrong_clock_signs_nobody_out_while_redis_is_away() {
    let mut redis = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let session = TestApp::start_on(&redis.url(), &[]).new_session();
    redis.kill();
    let clock = FakeClock::new(TEN_MINUTES);
    let app = TestApp::start_on(&redis.url(), &clock.settings());
    app.current_user(&session.access_token).assert_error(503, "store_unreachable");
    app.refresh_access_token(&session.refresh_token).assert_error(503, "store_unreachable");
    assert!(about_the_clock(&app).is_empty());
    redis.restart();
    wait_until("every worker is ready", || {
        every_worker(app.port(), &raw::request("GET", "/readyz", &[], None), |answer| answer.status == 200)
    });
    session.assert_lives([&app]);
    assert_eq!(app.sign_up(&unique_email(), PASSWORD).status, 201);
    assert_warned_once(&app, "behind this machine's");
}
