//! GET /sessions, DELETE /sessions, DELETE /sessions/{id}, POST /signout: sessions that a person can see and end.

use auth_service::clock::unix_seconds;
use serde_json::{Value, json};

use crate::{
    app::{PASSWORD, Session, TestApp, unique_email},
    redis_server::RedisServer,
    runner::Store,
    session::{claims, replicas, text, wait_until_after},
    suite,
};

suite! {
    every_store: [
        sessions_are_listed_newest_first_with_where_they_came_from,
        last_used_at_moves_with_a_refresh_and_with_nothing_else,
        ending_one_session_kills_its_tokens_everywhere_and_no_others,
        a_session_that_is_not_ones_own_is_404_and_lives_on,
        ending_all_sessions_kills_every_token_everywhere,
        ending_all_but_the_current_session_keeps_that_one_going,
        signout_ends_the_session_that_asks_and_no_other,
        any_other_query_is_400_and_ends_nothing,
        a_missing_or_dead_token_is_401_with_its_challenge,
        other_methods_are_405_with_allow_and_head_runs_nothing,
        beyond_the_limit_the_oldest_session_gives_way,
        expired_sessions_are_never_listed_nor_counted,
        a_shorter_life_set_later_cuts_no_older_session,
        the_command_line_lists_and_ends_sessions,
    ]
    redis: [the_epoch_never_names_more_sessions_than_the_limit_and_expires]
    plain: [the_command_line_of_sessions_refuses_wrong_usage]
}

/// Seconds since the epoch of an RFC 3339 time in UTC.
fn seconds(time: &Value) -> u64 {
    let time = time.as_str().unwrap();
    assert!(time.len() == 20 && time.ends_with('Z'), "{time}");
    let time = humantime::parse_rfc3339(time).unwrap();
    time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn sign_in_from(app: &TestApp, email: &str, address: &str, user_agent: &str) -> Session {
    let body = json!({"email": email, "password": PASSWORD}).to_string();
    let headers = [("X-Forwarded-For", address), ("User-Agent", user_agent)];
    let answer = app.send("POST", "/authenticate", &headers, Some(&body));
    assert_eq!(answer.status, 200, "{answer:?}");
    Session {
        email: email.to_owned(),
        access_token: text(&answer, "access_token"),
        refresh_token: text(&answer, "refresh_token"),
    }
}

fn sessions_are_listed_newest_first_with_where_they_came_from(store: Store) {
    let replicas = replicas(store, &[("TRUSTED_PROXIES", "127.0.0.1")]);
    let email = unique_email();
    let before = unix_seconds();
    assert_eq!(replicas[0].sign_up(&email, PASSWORD).status, 201);
    let long = "ü".repeat(300);
    let cut = "ü".repeat(256);
    let origins = [("192.0.2.1", "one", "one"), ("2001:db8::2", "two\ttabs", "twotabs"), ("192.0.2.3", &long, &cut)];
    let opened: Vec<_> = origins
        .iter()
        .enumerate()
        .map(|(n, (address, agent, _))| sign_in_from(&replicas[n % replicas.len()], &email, address, agent))
        .collect();
    let after = unix_seconds();
    for app in &replicas {
        for asking in &opened {
            let listed = app.sessions(&asking.access_token);
            assert_eq!(listed.len(), 3, "{listed:?}");
            for ((session, opened), (address, _, agent)) in listed.iter().rev().zip(&opened).zip(&origins) {
                let (created_at, last_used_at) = (&session["created_at"], &session["last_used_at"]);
                assert!((before..=after).contains(&seconds(created_at)), "{created_at}");
                assert_eq!(created_at, last_used_at);
                let expected = json!({
                    "id": opened.id(),
                    "created_at": created_at,
                    "last_used_at": last_used_at,
                    "ip": address,
                    "user_agent": agent,
                    "current": opened.id() == asking.id(),
                });
                assert_eq!(session, &expected);
            }
        }
    }
    let nobody_else = replicas[0].new_session();
    assert_eq!(replicas[0].session_ids(&nobody_else.access_token), [nobody_else.id()]);
}

fn last_used_at_moves_with_a_refresh_and_with_nothing_else(store: Store) {
    let app = TestApp::start(store);
    let (session, other) = (app.new_session(), app.new_session());
    let listed = || app.sessions(&session.access_token).remove(0);
    let first = listed();
    wait_until_after(seconds(&first["created_at"]));
    assert_eq!(app.current_user(&session.access_token).status, 200);
    assert_eq!(app.refresh_access_token(&other.refresh_token).status, 200);
    assert_eq!(listed(), first);
    let before = unix_seconds();
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
    let used = listed();
    assert!((before..=unix_seconds()).contains(&seconds(&used["last_used_at"])), "{used}");
    assert_eq!(used["created_at"], first["created_at"]);
}

fn ending_one_session_kills_its_tokens_everywhere_and_no_others(store: Store) {
    let replicas = replicas(store, &[]);
    let one = replicas[0].new_session();
    let others: Vec<_> = (0..replicas.len() * 2).map(|_| replicas[0].session_of(&one.email)).collect();
    let mut left: Vec<_> = others.iter().collect();
    for (n, ended) in others.iter().enumerate() {
        // Each replica has accepted it, so that a stale memory of it would show.
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
    // One's own is a session like any other.
    let path = format!("/sessions/{}", one.id());
    replicas[0].send_as(&one.access_token, "DELETE", &path, None).assert(200, &json!({"result": "Session ended"}));
    one.assert_dead(&replicas);
}

fn a_session_that_is_not_ones_own_is_404_and_lives_on(store: Store) {
    let replicas = replicas(store, &[]);
    let app = &replicas[0];
    let (one, other) = (app.new_session(), app.new_session());
    let too_long = "A".repeat(4_000);
    let foreign = other.id();
    let ids = [&foreign, "AAAAAAAAAAAAAAAAAAAAAA", "x", "*", "as:%7Bx%7D:u", "AAAAAAAAAAAAAAAAAAAAA=", "%FF", "%00"];
    for id in ids.into_iter().chain([too_long.as_str()]) {
        let answer = app.send_as(&one.access_token, "DELETE", &format!("/sessions/{id}"), None);
        answer.assert_error(404, "session_not_found");
        // Without a token that lives there is nothing to learn.
        app.send("DELETE", &format!("/sessions/{id}"), &[], None).assert_error(401, "token_missing");
    }
    one.assert_lives(&replicas);
    other.assert_lives(&replicas);
}

fn ending_all_sessions_kills_every_token_everywhere(store: Store) {
    let replicas = replicas(store, &[]);
    let bystander = replicas[0].new_session();
    let email = replicas[0].new_session().email;
    for app in &replicas {
        let sessions: Vec<_> = replicas.iter().map(|app| app.session_of(&email)).collect();
        let asking = sessions.last().unwrap();
        sessions[0].assert_lives(&replicas);
        app.send_as(&asking.access_token, "DELETE", "/sessions", None)
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

fn ending_all_but_the_current_session_keeps_that_one_going(store: Store) {
    let replicas = replicas(store, &[]);
    let kept = replicas[0].new_session();
    for app in &replicas {
        let others = [app.session_of(&kept.email), app.session_of(&kept.email)];
        let refreshed = text(&app.refresh_access_token(&kept.refresh_token), "access_token");
        let end = || app.send_as(&kept.access_token, "DELETE", "/sessions?except=current", None);
        end().assert(200, &json!({"result": "Sessions ended"}));
        for session in &others {
            session.assert_dead(&replicas);
        }
        kept.assert_lives(&replicas);
        assert_eq!(app.session_ids(&refreshed), [kept.id()]);
        // With nobody left to end it is done as well.
        end().assert(200, &json!({"result": "Sessions ended"}));
        kept.assert_lives(&replicas);
    }
}

fn signout_ends_the_session_that_asks_and_no_other(store: Store) {
    let replicas = replicas(store, &[]);
    let kept = replicas[0].new_session();
    for app in &replicas {
        let session = app.session_of(&kept.email);
        session.assert_lives(&replicas);
        let sign_out = || app.send_as(&session.access_token, "POST", "/signout", None);
        sign_out().assert(200, &json!({"result": "Signed out"}));
        session.assert_dead(&replicas);
        sign_out().assert_error(401, "invalid_token");
        kept.assert_lives(&replicas);
        assert_eq!(app.session_ids(&kept.access_token), [kept.id()]);
    }
}

fn any_other_query_is_400_and_ends_nothing(store: Store) {
    let app = TestApp::start(store);
    let one = app.new_session();
    let other = app.session_of(&one.email);
    let by_id = format!("/sessions/{}?except=current", other.id());
    for (method, path) in [
        ("DELETE", "/sessions?"),
        ("DELETE", "/sessions?except="),
        ("DELETE", "/sessions?except=others"),
        ("DELETE", "/sessions?except=current&x=1"),
        ("DELETE", "/sessions?EXCEPT=current"),
        ("DELETE", "/sessions?except=current%20"),
        ("DELETE", &by_id),
        ("GET", "/sessions?except=current"),
        ("POST", "/signout?now"),
    ] {
        app.send_as(&one.access_token, method, path, None).assert_error(400, "query_not_allowed");
    }
    let apps = [app];
    one.assert_lives(&apps);
    other.assert_lives(&apps);
}

const ROUTES: [(&str, &str); 5] = [
    ("GET", "/sessions"),
    ("DELETE", "/sessions"),
    ("DELETE", "/sessions?except=current"),
    ("DELETE", "/sessions/AAAAAAAAAAAAAAAAAAAAAA"),
    ("POST", "/signout"),
];

fn a_missing_or_dead_token_is_401_with_its_challenge(store: Store) {
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
    lives.assert_lives(&[app]);
}

fn other_methods_are_405_with_allow_and_head_runs_nothing(store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let by_id = format!("/sessions/{}", session.id());
    for (path, allow) in [("/sessions", "GET, DELETE"), (&by_id, "DELETE"), ("/signout", "POST")] {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            if allow.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            // Closed, so that reading the answer to a HEAD does not wait for the body that it announces.
            let headers = [("Authorization", session.access_token.as_str()), ("Connection", "close")];
            let answer = app.send(method, path, &headers, None);
            assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
            if method == "HEAD" {
                assert_eq!(answer.body, "");
            } else {
                answer.assert_error(405, "method_not_allowed");
            }
        }
    }
    session.assert_lives(&[app]);
}

fn beyond_the_limit_the_oldest_session_gives_way(store: Store) {
    let replicas = replicas(store, &[("MAX_SESSIONS_PER_USER", "3")]);
    let bystander = replicas[0].new_session();
    let mut live = vec![replicas[0].new_session()];
    for n in 0..7 {
        let app = &replicas[n % replicas.len()];
        live.push(app.session_of(&live[0].email));
        if live.len() > 3 {
            live.remove(0).assert_dead(&replicas);
        }
        // To be used makes a session no younger.
        live[0].assert_lives(&replicas);
        let ids: Vec<_> = live.iter().rev().map(Session::id).collect();
        assert_eq!(app.session_ids(&live[0].access_token), ids);
    }
    for session in live.iter().chain([&bystander]) {
        session.assert_lives(&replicas);
    }
}

fn expired_sessions_are_never_listed_nor_counted(store: Store) {
    let settings = [
        ("ACCESS_TOKEN_TTL_SECONDS", "4"),
        ("REFRESH_TOKEN_TTL_SECONDS", "4"),
        ("REFRESH_TOKEN_ROTATION", "on"),
        ("MAX_SESSIONS_PER_USER", "2"),
    ];
    let app = TestApp::start_with(store, &settings);
    let expires = app.new_session();
    let mut kept = app.session_of(&expires.email);
    assert_eq!(app.session_ids(&kept.access_token), [kept.id(), expires.id()]);
    let end = claims(&expires.refresh_token)["exp"].as_u64().unwrap();
    let refresh = |kept: &mut Session| {
        let answer = app.refresh_access_token(&kept.refresh_token);
        (kept.access_token, kept.refresh_token) = (text(&answer, "access_token"), text(&answer, "refresh_token"));
    };
    while unix_seconds() <= end {
        wait_until_after(unix_seconds());
        refresh(&mut kept);
    }
    assert_eq!(app.session_ids(&kept.access_token), [kept.id()]);
    // It has left its place: nobody else gives way.
    let third = app.session_of(&kept.email);
    assert_eq!(app.session_ids(&third.access_token), [third.id(), kept.id()]);
    refresh(&mut kept);
    assert_eq!(app.session_ids(&kept.access_token), [third.id(), kept.id()]);
}

fn the_epoch_never_names_more_sessions_than_the_limit_and_expires() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[("MAX_SESSIONS_PER_USER", "3")]);
    let first = app.new_session();
    let tag = claims(&first.access_token)["tag"].as_str().unwrap().to_owned();
    let (epoch, id_length) = (format!("as:{{{tag}}}:e"), 22);
    let named = || redis.command::<usize>(&["STRLEN", &epoch]) / id_length - 1;
    let assert_named = |sessions: usize| {
        assert_eq!(named(), sessions);
        let life: i64 = redis.command(&["TTL", &epoch]);
        assert!((1..=120).contains(&life), "{life}");
    };
    for n in 2..=8 {
        app.session_of(&first.email);
        assert_named(n.min(3));
    }
    // What has ended by itself is named no more from the next sign-in on.
    for key in redis.command::<Vec<String>>(&["KEYS", &format!("as:{{{tag}}}:s:*")]) {
        redis.command::<()>(&["DEL", &key]);
    }
    app.session_of(&first.email);
    assert_named(1);
    assert_eq!(app.remove_access_token(&first.email).status, 200);
    for n in 1..=4 {
        app.session_of(&first.email);
        assert_named(n.min(3));
    }
    // No more keys than three sessions have, but those that expire by themselves.
    let keys: Vec<String> = redis.command(&["KEYS", "*"]);
    for key in keys {
        let life: i64 = redis.command(&["TTL", &key]);
        assert!(life > 0 || key.ends_with(":u"), "{key} has the TTL {life}");
    }
    let last = app.session_of(&first.email);
    assert_eq!(app.send_as(&last.access_token, "DELETE", "/sessions?except=current", None).status, 200);
    assert_named(1);
    assert_eq!(app.send_as(&last.access_token, "POST", "/signout", None).status, 200);
    assert_eq!(redis.command::<i64>(&["EXISTS", &epoch]), 0);
}

fn a_shorter_life_set_later_cuts_no_older_session(store: Store) {
    let directory = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let start = |settings: &[(&str, &str)]| match store {
        Store::Embedded => TestApp::start_in(std::sync::Arc::clone(&directory), settings),
        Store::Redis => TestApp::start_on(&RedisServer::shared_url(), settings),
    };
    let app = start(&[]);
    let older = app.new_session();
    drop(app);
    let app = start(&[("ACCESS_TOKEN_TTL_SECONDS", "1"), ("REFRESH_TOKEN_TTL_SECONDS", "1")]);
    let newer = app.session_of(&older.email);
    wait_until_after(claims(&newer.refresh_token)["exp"].as_u64().unwrap() + 1);
    app.current_user(&newer.access_token).assert_error(401, "token_expired");
    assert_eq!(app.session_ids(&older.access_token), [older.id()]);
    assert_eq!(app.refresh_access_token(&older.refresh_token).status, 200);
}

fn run(app: &TestApp, arguments: &[&str]) -> (i32, String, String) {
    let output = app.cli(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn the_command_line_lists_and_ends_sessions(store: Store) {
    let mut app = TestApp::start_with(store, &[("TRUSTED_PROXIES", "127.0.0.1")]);
    let email = app.new_session().email;
    let (first, second) =
        (app.session_of(&email), sign_in_from(&app, &email.to_uppercase(), "192.0.2.7", "a \u{9b}31mred agent"));
    let listed = app.sessions(&first.access_token);
    let stranger = app.new_session();
    if store == Store::Embedded {
        // Its store is the server's alone.
        let (code, output, error) = run(&app, &["sessions", "list", &email]);
        assert_eq!((code, output.as_str()), (1, ""), "{error}");
        assert!(error.contains("held by another process"), "{error}");
        app.kill();
    }

    let (code, output, _) = run(&app, &["sessions", "list", &email, "--json"]);
    let found: Value = serde_json::from_str(&output).unwrap();
    let expected: Vec<_> = listed
        .into_iter()
        .map(|mut session| {
            session.as_object_mut().unwrap().remove("current");
            session
        })
        .collect();
    assert_eq!((code, &found), (0, &json!({"sessions": expected})));
    let (code, output, _) = run(&app, &["sessions", "list", &email]);
    let lines: Vec<_> = output.lines().collect();
    assert_eq!((code, lines.len()), (0, 3), "{output}");
    assert!(lines[0].starts_with(&second.id()) && lines[0].contains(" from 192.0.2.7 a 31mred agent"), "{output}");
    assert!(lines[1].starts_with(&first.id()), "{output}");

    let end = |id: &str, more: &[&str]| run(&app, &[&["sessions", "end", &email, id], more].concat());
    let (code, output, _) = end(&second.id(), &["--json"]);
    let ended: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, ended), (0, json!({"result": "session_ended", "id": second.id()})));
    let with_a_hyphen = ["-", &second.id()[1..]].concat();
    for id in [second.id(), stranger.id(), "nonsense".to_owned(), with_a_hyphen, "-h".to_owned() + &"-".repeat(20)] {
        let (code, output, error) = end(&id, &[]);
        assert_eq!((code, output.as_str()), (1, ""));
        assert!(error.starts_with("auth-service: there is no such session"), "{error}");
        let (code, output, error) = end(&id, &["--json"]);
        let refused: Value = serde_json::from_str(&output).unwrap();
        assert_eq!((code, &refused["code"], error.as_str()), (1, &json!("session_not_found"), ""));
    }
    for email in [unique_email(), "-".to_owned() + &unique_email()] {
        let (code, output, error) = run(&app, &["sessions", "list", &email]);
        assert_eq!((code, output.as_str()), (0, "No sessions\n"), "{error}");
    }
    let (code, output, _) = run(&app, &["sessions", "list", &unique_email(), "--json"]);
    assert_eq!((code, output.as_str()), (0, "{\"sessions\":[]}\n"));

    let app = [app.kill_and_restart()];
    second.assert_dead(&app);
    first.assert_lives(&app);
    stranger.assert_lives(&app);
}

fn the_command_line_of_sessions_refuses_wrong_usage() {
    let mut app = TestApp::start(Store::Embedded);
    app.kill();
    for arguments in [
        &["sessions"][..],
        &["sessions", "list"],
        &["sessions", "list", "nobody"],
        &["sessions", "end", "a@example.com"],
        &["sessions", "drop", "a@example.com"],
        &["sessions", "list", "a@example.com", "--data-dir", "not-there"],
        &["sessions", "list", "a@example.com", "--no-such-flag"],
        &["sessions", "list", "--no-such-flag"],
    ] {
        let (code, output, error) = run(&app, arguments);
        assert_eq!((code, output.as_str()), (2, ""), "{arguments:?}");
        assert!(!error.is_empty(), "{arguments:?}");
    }
    let (code, output, _) = run(&app, &["sessions", "list", "nobody", "--json"]);
    let refused: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &refused["code"]), (2, &json!("wrong_usage")));
    let (code, output, _) =
        run(&app, &["sessions", "list", "a@example.com", "--json", "--redis-url", "redis://127.0.0.1:1"]);
    let away: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &away["code"]), (1, &json!("store_unreachable")));
}
