//! The answers that clients get while Redis is unavailable and after it has recovered.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    app::TestApp,
    client::{PASSWORD, unique_email},
    raw::{self, Answer, Connection},
    session::Session,
    wait::wait_until,
};

/// The longest that a client waits for a 503.
pub(crate) const SECOND: Duration = Duration::from_secs(1);
const LOST: [&str; 6] =
    ["store_unreachable", "store_timeout", "store_read_only", "store_refused", "store_loading", "store_cluster_down"];

/// Asserts that everything works, from sign-up to removal.
pub(crate) fn assert_serves(app: &TestApp) {
    let session = app.new_session();
    assert_eq!(app.current_user(&session.access_token).status, 200);
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    let answer = app.current_user(&session.access_token);
    assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("invalid_token")), "{answer:?}");
}

/// Asserts that an answer comes within a second.
pub(crate) fn in_time(what: &str, call: impl FnOnce() -> Answer) -> Answer {
    let start = Instant::now();
    let answer = call();
    assert!(start.elapsed() < SECOND, "{what} took {:?}: {answer:?}", start.elapsed());
    answer
}

/// Asserts a 503 with the code of a temporary failure.
#[track_caller]
pub(crate) fn assert_away(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    let body = answer.json();
    assert!(LOST.contains(&body["code"].as_str().unwrap()), "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

/// Waits until every worker serves the session. Each worker has its own connection to Redis.
pub(crate) fn wait_until_ready(app: &TestApp, session: &Session) {
    let headers = [("Authorization", session.access_token.as_str())];
    let request = raw::request("GET", "/user", &headers, None);
    wait_until("every worker serves", || every_worker(app.port(), &request, |answer| answer.status == 200));
}

/// Whether `holds` is true for the answer of every worker. The listener gives a new connection to the worker with the
/// fewest connections. Connections that a busy worker has not closed yet count too, so a few connections per worker
/// would not reach every worker.
pub(crate) fn every_worker(port: u16, request: &[u8], holds: impl Fn(&Answer) -> bool) -> bool {
    const CONNECTIONS_PER_WORKER: usize = 16;
    let workers = thread::available_parallelism().unwrap().get();
    let mut connections: Vec<_> = (0..CONNECTIONS_PER_WORKER * workers).map(|_| Connection::open(port)).collect();
    connections.iter_mut().all(|connection| {
        connection.write(request).unwrap();
        holds(&connection.read().unwrap())
    })
}

/// Asserts that no other route gives a wrong answer: each route that needs the store and keeps the session is served,
/// or answers 503 within a second.
pub(crate) fn assert_no_route_lies(app: &TestApp, session: &Session) {
    let Session { email, access_token, refresh_token } = session;
    let account = json!({"email": email, "password": PASSWORD});
    let unchanged = json!({"current_password": PASSWORD, "new_password": PASSWORD});
    let nobody = json!({"email": unique_email()});
    let routes = [
        ("POST", "/signup", Some(json!({"email": unique_email(), "password": PASSWORD}))),
        ("POST", "/authenticate", Some(account)),
        ("POST", "/refresh-access-token", Some(json!({"refresh_token": refresh_token}))),
        ("DELETE", "/access-token", Some(nobody)),
        ("GET", "/sessions", None),
        ("DELETE", "/sessions/AAAAAAAAAAAAAAAAAAAAAA", None),
        ("DELETE", "/sessions?except=current", None),
        ("PUT", "/user/password", Some(unchanged)),
        ("DELETE", "/user", Some(json!({"password": "not the password"}))),
        ("GET", "/readyz", None),
    ];
    for (method, path, body) in routes {
        // A removal by email needs no token.
        let authorization = [("Authorization", access_token.as_str())];
        let headers = if path.starts_with("/user") || path.starts_with("/sessions") { &authorization[..] } else { &[] };
        let start = Instant::now();
        let answer = app.send(method, path, headers, body.map(|body| body.to_string()).as_deref());
        let took = start.elapsed();
        match answer.status {
            503 => {
                assert_away(&answer);
                assert!(took < SECOND, "{method} {path} took {took:?}: {answer:?}");
            }
            status => assert!(status < 500 && status != 401, "{method} {path}: {answer:?}"),
        }
    }
}
