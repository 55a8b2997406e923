//! DELETE /sessions and DELETE /sessions/{id}: how a user ends sessions.

use rstest::rstest;
use serde_json::json;

use crate::support::{
    Store::{self, Embedded, Redis},
    TestApp, assert_moved, replicas, text,
};

#[rstest]
fn ending_one_session_kills_its_tokens_everywhere_and_no_others(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[]);
    let one = replicas[0].new_session();
    let others: Vec<_> = (0..replicas.len() * 2).map(|_| replicas[0].session_of(&one.email)).collect();
    let mut left: Vec<_> = others.iter().collect();
    for (n, ended) in others.iter().enumerate() {
        // Each replica accepts the session first, so a replica that caches sessions would fail below.
        ended.assert_lives(&replicas);
        let (app, path) = (&replicas[n % replicas.len()], format!("/sessions/{}", ended.id()));
        let end = || app.send_as(&one.access_token, "DELETE", &path, None);
        end().assert(200, &json!({"result": "Session ended"}));
        ended.assert_dead(&replicas);
        end().assert_error(404, "session_not_found");
        left.remove(0);
        let ids: Vec<_> = left.iter().rev().map(|session| session.id()).chain([one.id()]).collect();
        assert_eq!(app.session_ids(&one.access_token), ids);
    }
    one.assert_lives(&replicas);
    // A session may end itself.
    let path = format!("/sessions/{}", one.id());
    replicas[0].send_as(&one.access_token, "DELETE", &path, None).assert(200, &json!({"result": "Session ended"}));
    one.assert_dead(&replicas);
}

#[rstest]
fn a_session_of_another_user_is_404_and_stays_alive(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[]);
    let app = &replicas[0];
    let (one, other) = (app.new_session(), app.new_session());
    let too_long = "A".repeat(4_000);
    let foreign = other.id();
    let ids = [&foreign, "AAAAAAAAAAAAAAAAAAAAAA", "x", "*", "as:%7Bx%7D:u", "AAAAAAAAAAAAAAAAAAAAA=", "%FF", "%00"];
    for id in ids.into_iter().chain([too_long.as_str()]) {
        let answer = app.send_as(&one.access_token, "DELETE", &format!("/sessions/{id}"), None);
        answer.assert_error(404, "session_not_found");
        // Without a token, the answer must not say whether a session exists.
        app.send("DELETE", &format!("/sessions/{id}"), &[], None).assert_error(401, "token_missing");
    }
    one.assert_lives(&replicas);
    other.assert_lives(&replicas);
}

#[rstest]
fn ending_all_sessions_kills_every_token_everywhere(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[]);
    let bystander = replicas[0].new_session();
    let email = replicas[0].new_session().email;
    for app in &replicas {
        let sessions: Vec<_> = replicas.iter().map(|app| app.session_of(&email)).collect();
        let caller = sessions.last().unwrap();
        sessions[0].assert_lives(&replicas);
        app.send_as(&caller.access_token, "DELETE", "/sessions", None)
            .assert(200, &json!({"result": "Sessions ended"}));
        for session in &sessions {
            session.assert_dead(&replicas);
        }
        let fresh = app.session_of(&email);
        assert_eq!(app.session_ids(&fresh.access_token), [fresh.id()]);
        fresh.assert_lives(&replicas);
    }
    bystander.assert_lives(&replicas);
}

#[rstest]
fn ending_all_other_sessions_keeps_the_current_one(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[]);
    let kept = replicas[0].new_session();
    for app in &replicas {
        let others = [app.session_of(&kept.email), app.session_of(&kept.email)];
        let refreshed = text(&app.refresh_access_token(&kept.refresh_token), "access_token");
        let end = || app.send_as(&kept.access_token, "DELETE", "/sessions?except=current", None);
        assert_moved(&end(), "Sessions ended");
        for session in &others {
            session.assert_dead(&replicas);
        }
        kept.assert_lives(&replicas);
        assert_eq!(app.session_ids(&refreshed), [kept.id()]);
        // It is not an error that no other session is left.
        assert_moved(&end(), "Sessions ended");
        kept.assert_lives(&replicas);
    }
}

#[rstest]
fn any_other_query_is_400_and_ends_nothing(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let one = app.new_session();
    let other = app.session_of(&one.email);
    let by_id = format!("/sessions/{}?except=current", other.id());
    for (method, path) in [
        ("DELETE", "/sessions?except="),
        ("DELETE", "/sessions?except=others"),
        ("DELETE", "/sessions?except=current&x=1"),
        ("DELETE", "/sessions?EXCEPT=current"),
        ("DELETE", "/sessions?except=current%20"),
        ("DELETE", &by_id),
        ("DELETE", "/sessions?except=current&except=current"),
        ("DELETE", "/sessions?limit=1"),
        ("GET", "/sessions?except=current"),
        ("GET", "/sessions?limit=1&limit=2"),
        ("POST", "/signout?now"),
    ] {
        app.send_as(&one.access_token, method, path, None).assert_error(400, "query_not_allowed");
    }
    one.assert_lives([&app]);
    other.assert_lives([&app]);
}

const ROUTES: [(&str, &str); 4] = [
    ("GET", "/sessions"),
    ("DELETE", "/sessions"),
    ("DELETE", "/sessions?except=current"),
    ("DELETE", "/sessions/AAAAAAAAAAAAAAAAAAAAAA"),
];

#[rstest]
fn a_missing_or_dead_token_is_401_with_its_challenge(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let lives = app.new_session();
    let dead = app.session_of(&lives.email);
    assert_eq!(app.send_as(&dead.access_token, "POST", "/signout", None).status, 200);
    for (method, path) in ROUTES {
        let missing = app.send(method, path, &[], None);
        missing.assert_error(401, "token_missing");
        assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
        for token in [&dead.access_token, &lives.refresh_token, "nonsense"] {
            let answer = app.send_as(token, method, path, None);
            answer.assert_error(401, "invalid_token");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
        }
    }
    lives.assert_lives([&app]);
}
