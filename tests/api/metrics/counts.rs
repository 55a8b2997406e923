//! Each metric counts exactly what has happened.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::json;

use crate::support::{Connection, JSON, METRICS, PASSWORD, RESOURCE_SERVERS, Store, TestApp, raw, text, wait_until};

/// The series of one metric that are not 0, by their labels.
fn counted(app: &TestApp, metric: &str) -> BTreeMap<String, u64> {
    let prefix = format!("auth_service_{metric}{{");
    let of_metric = app.series().into_iter().filter_map(|(series, value)| {
        let labels = series.strip_prefix(&prefix)?.trim_end_matches('}').replace('"', "");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are small")]
        Some((labels, value as u64))
    });
    of_metric.filter(|(_, value)| *value > 0).collect()
}

fn expected(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts.iter().map(|&(labels, count)| (labels.to_owned(), count)).collect()
}

#[rstest]
fn a_scenario_is_counted_exactly(#[values(Store::Redis, Store::Embedded)] store: Store) {
    // The server counts events even without audit lines.
    let settings =
        [METRICS, ("RUST_LOG", "info,audit=off"), ("REFRESH_TOKEN_ROTATION", "on"), ("REFRESH_GRACE_SECONDS", "0")];
    let app = TestApp::start_with(store, &settings);
    let email = app.new_account();
    let (first, second) = (app.session_of(&email), app.session_of(&email));
    assert_eq!(app.authenticate(&email, "wrong horse").status, 401);
    assert_eq!(app.current_user(&first.access_token).status, 200);
    assert_eq!(app.current_user(&first.access_token).status, 200);
    assert_eq!(app.current_user("forged").status, 401);
    let successor = text(&app.refresh_access_token(&second.refresh_token), "refresh_token");
    assert_eq!(app.refresh_access_token(&successor).status, 200);
    assert_eq!(app.refresh_access_token(&second.refresh_token).status, 401, "reuse");
    assert_eq!(app.send_as(&first.access_token, "POST", "/signout", None).status, 200);
    assert_eq!(app.remove_access_token(&email).status, 404, "no token is left");
    let third = app.session_of(&email);
    assert_eq!(app.remove_access_token(&email).status, 200);
    assert_eq!(app.current_user(&third.access_token).status, 401);
    assert_eq!(app.send("GET", "/no-such-route", &[], None).status, 404);
    assert_eq!(app.send("PATCH", "/user", &[], None).status, 405);
    assert_eq!(app.send_json("POST", "/signup", &json!({"email": "x".repeat(17_000)})).status, 413);
    assert_eq!(app.send("GET", "/livez", &[("Content-Encoding", "gzip")], None).status, 415);
    assert_eq!(
        counted(&app, "http_requests_total"),
        expected(&[
            ("method=POST,route=/signup,status=201,code=none", 1),
            ("method=POST,route=/authenticate,status=200,code=none", 3),
            ("method=POST,route=/authenticate,status=401,code=invalid_credentials", 1),
            ("method=GET,route=/user,status=200,code=none", 2),
            ("method=GET,route=/user,status=401,code=invalid_token", 2),
            ("method=POST,route=/refresh-access-token,status=200,code=none", 2),
            ("method=POST,route=/refresh-access-token,status=401,code=token_reused", 1),
            ("method=POST,route=/signout,status=200,code=none", 1),
            ("method=DELETE,route=/access-token,status=404,code=token_not_found", 1),
            ("method=DELETE,route=/access-token,status=200,code=none", 1),
            ("method=OTHER,route=unmatched,status=404,code=route_not_found", 1),
            ("method=OTHER,route=/user,status=405,code=method_not_allowed", 1),
            ("method=POST,route=/signup,status=413,code=body_too_large", 1),
            ("method=OTHER,route=/livez,status=415,code=unsupported_encoding", 1),
        ])
    );
    let events = [
        ("event=signed_up", 1),
        ("event=signed_in", 3),
        ("event=sign_in_failed", 1),
        ("event=refreshed", 2),
        ("event=token_reused", 1),
        ("event=session_ended", 1),
        ("event=tokens_removed", 1),
    ];
    assert_eq!(counted(&app, "events_total"), expected(&events));
    assert_eq!(counted(&app, "tokens_refused_total"), expected(&[("reason=malformed", 1), ("reason=removed", 1)]));
    assert_eq!((app.metric("sessions_opened_total"), app.metric("sessions_ended_total")), (Some(3.0), Some(3.0)));
    let durations = counted(&app, "http_request_duration_seconds_count");
    assert_eq!((durations["route=/user"], durations["route=/authenticate"], durations["route=unmatched"]), (5, 4, 1));
    assert_eq!(counted(&app, "http_request_duration_seconds_bucket")["route=/user,le=+Inf"], 5);
    assert!(!app.output().contains("signed_in"), "the audit trail is off");
}

#[rstest]
fn renewal_throttling_and_deletion_are_counted(#[values(Store::Redis, Store::Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[METRICS, ("ACCESS_TOKEN_TTL_SECONDS", "1")]);
    let session = app.new_session();
    // The leeway for the clocks has no effect on the entry in the store.
    let headers = [("Authorization", session.access_token.as_str()), ("Refresh-Token", &session.refresh_token)];
    wait_until("the access token is renewed", || {
        app.send("GET", "/user", &headers, None).header("access-token").is_some()
    });
    let email = app.new_account();
    while app.authenticate(&email, "wrong horse").status != 429 {}
    let other = app.new_session();
    assert_eq!(app.change_password(&other.access_token, PASSWORD, "another horse").status, 200);
    let signed_in = app.sign_in(&other.email, "another horse");
    assert_eq!(app.delete_user(&signed_in.access_token, "another horse").status, 200);
    let events = counted(&app, "events_total");
    for event in ["renewed", "throttled", "password_changed", "user_deleted"] {
        assert_eq!(events[&format!("event={event}")], 1, "{events:?}");
    }
    assert_eq!(app.metric("sessions_ended_total"), Some(2.0));
    let throttled = "method=POST,route=/authenticate,status=429,code=too_many_attempts";
    assert_eq!(counted(&app, "http_requests_total")[throttled], 1);
}

#[test]
fn a_client_that_leaves_is_counted() {
    let app = TestApp::start_with(Store::Embedded, &[METRICS]);
    let mut connection = Connection::open(app.port());
    connection.write(&raw::request("POST", "/signup", &[JSON, ("Content-Length", "9")], None)).unwrap();
    wait_until("the connection is open", || app.metric("http_connections") == Some(1.0));
    drop(connection);
    wait_until("the connection is closed", || app.metric("http_connections") == Some(0.0));
    let left = ("method=POST,route=/signup,status=400,code=invalid_body", 1);
    assert_eq!(counted(&app, "http_requests_total"), expected(&[left]));
}

#[test]
fn refused_and_displaced_connections_are_counted() {
    let limits = [("MAX_CONNECTIONS", "3"), ("MAX_CONNECTIONS_PER_ADDRESS", "2")];
    let app = TestApp::start_with(Store::Embedded, &[&[METRICS][..], &limits].concat());
    let open = |address: [u8; 4]| Connection::open_from(address.into(), app.port());
    let (_first, _second) = (open([127, 0, 0, 2]), open([127, 0, 0, 2]));
    assert!(open([127, 0, 0, 2]).is_closed());
    let _third = open([127, 0, 0, 3]);
    wait_until("three connections are open", || app.metric("http_connections") == Some(3.0));
    assert_eq!(app.metric("http_connections_displaced_total"), Some(0.0));
    let _fourth = open([127, 0, 0, 3]);
    wait_until("a connection has made room", || app.metric("http_connections_displaced_total") == Some(1.0));
    assert_eq!(app.metric("http_connections_refused_total"), Some(1.0));
}

#[test]
fn every_known_value_of_a_label_is_there_from_the_start() {
    let app = TestApp::start_with(Store::Embedded, &[METRICS]);
    let series = app.series();
    for zero in [
        "events_total{event=\"token_reused\"}",
        "tokens_refused_total{reason=\"bad_signature\"}",
        "tokens_refused_total{reason=\"other_session\"}",
        "sessions_opened_total",
        "sessions_ended_total",
        "http_connections",
    ] {
        assert_eq!(series.get(&format!("auth_service_{zero}")), Some(&0.0), "{zero}");
    }
    let version = format!("auth_service_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(series.get(&version), Some(&1.0));
}

#[rstest]
fn the_ages_of_the_feed_and_of_the_keys_are_small(#[values(Store::Redis, Store::Embedded)] store: Store) {
    let settings = [METRICS, RESOURCE_SERVERS, ("ACCESS_TOKEN_ALGORITHM", "ES256")];
    let app = TestApp::start_with(store, &settings);
    for age in ["revocation_feed_age_seconds", "signing_keys_age_seconds"] {
        wait_until(age, || app.metric(age).is_some_and(|seconds| (0.0..5.0).contains(&seconds)));
    }
    let plain = TestApp::start_with(Store::Embedded, &[METRICS]);
    assert_eq!(plain.metric("revocation_feed_age_seconds"), None, "nobody may read the feed");
}
