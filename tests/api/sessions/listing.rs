//! GET /sessions: the data of each session, the pages of the list, and the limit on the number of sessions.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Data, PASSWORD, Session,
    Store::{self, Embedded, Redis},
    TestApp, claims, replicas, text, unique_email, unix_seconds, wait_until_after,
};

/// Converts an RFC 3339 time in UTC to Unix seconds.
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
    Session::of(email, &answer)
}

#[rstest]
fn sessions_are_listed_newest_first_with_address_and_user_agent(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[("TRUSTED_PROXIES", "127.0.0.1")]);
    let email = unique_email();
    let before = unix_seconds();
    assert_eq!(replicas[0].sign_up(&email, PASSWORD).status, 201);
    // The server keeps the first 256 bytes of a user agent.
    let (long, cut) = ("ü".repeat(300), "ü".repeat(128));
    let origins = [("192.0.2.1", "one", "one"), ("2001:db8::2", "two\ttabs", "twotabs"), ("192.0.2.3", &long, &cut)];
    let opened: Vec<_> = origins
        .iter()
        .enumerate()
        .map(|(n, (address, agent, _))| sign_in_from(&replicas[n % replicas.len()], &email, address, agent))
        .collect();
    let after = unix_seconds();
    for app in &replicas {
        for caller in &opened {
            let listed = app.sessions(&caller.access_token);
            assert_eq!(listed.len(), 3, "{listed:?}");
            for ((session, opened), (address, _, agent)) in listed.iter().rev().zip(&opened).zip(&origins) {
                let (created_at, last_used_at) = (&session["created_at"], &session["last_used_at"]);
                assert!((before - 1..=after).contains(&seconds(created_at)), "{created_at}");
                assert_eq!(created_at, last_used_at);
                let expected = json!({
                    "id": opened.id(),
                    "created_at": created_at,
                    "last_used_at": last_used_at,
                    "ip": address,
                    "user_agent": agent,
                    "current": opened.id() == caller.id(),
                });
                assert_eq!(session, &expected);
            }
        }
    }
    let nobody_else = replicas[0].new_session();
    assert_eq!(replicas[0].session_ids(&nobody_else.access_token), [nobody_else.id()]);
}

#[rstest]
fn only_a_refresh_of_the_session_changes_last_used_at(#[values(Redis, Embedded)] store: Store) {
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
    assert!((before - 1..=unix_seconds()).contains(&seconds(&used["last_used_at"])), "{used}");
    assert_eq!(used["created_at"], first["created_at"]);
}

#[rstest]
fn beyond_the_limit_the_oldest_session_ends(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[("MAX_SESSIONS_PER_USER", "3")]);
    let bystander = replicas[0].new_session();
    let mut live = vec![replicas[0].new_session()];
    for n in 0..7 {
        let app = &replicas[n % replicas.len()];
        live.push(app.session_of(&live[0].email));
        if live.len() > 3 {
            live.remove(0).assert_dead(&replicas);
        }
        // The age of a session counts, not its last use.
        live[0].assert_lives(&replicas);
        let ids: Vec<_> = live.iter().rev().map(Session::id).collect();
        assert_eq!(app.session_ids(&live[0].access_token), ids);
    }
    for session in live.iter().chain([&bystander]) {
        session.assert_lives(&replicas);
    }
}

#[rstest]
fn expired_sessions_are_never_listed_nor_counted(#[values(Redis, Embedded)] store: Store) {
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
    // An expired session does not count, so the new session ends no other session.
    let third = app.session_of(&kept.email);
    assert_eq!(app.session_ids(&third.access_token), [third.id(), kept.id()]);
    refresh(&mut kept);
    assert_eq!(app.session_ids(&kept.access_token), [third.id(), kept.id()]);
}

#[rstest]
fn a_shorter_lifetime_does_not_shorten_older_sessions(#[values(Redis, Embedded)] store: Store) {
    let data = Data::new(store);
    let app = data.start(&[]);
    let older = app.new_session();
    drop(app);
    let app = data.start(&[("ACCESS_TOKEN_TTL_SECONDS", "1"), ("REFRESH_TOKEN_TTL_SECONDS", "1")]);
    let newer = app.session_of(&older.email);
    wait_until_after(claims(&newer.refresh_token)["exp"].as_u64().unwrap() + 1);
    app.current_user(&newer.access_token).assert_error(401, "token_expired");
    assert_eq!(app.session_ids(&older.access_token), [older.id()]);
    assert_eq!(app.refresh_access_token(&older.refresh_token).status, 200);
}

/// A page of the list, and the cursor of the next page.
fn page(app: &TestApp, token: &str, query: &str) -> (Vec<String>, Option<String>) {
    let answer = app.send_as(token, "GET", &format!("/sessions?{query}"), None);
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let ids = body["data"].as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap().to_owned());
    (ids.collect(), body.get("next").map(|next| next.as_str().unwrap().to_owned()))
}

#[rstest]
fn the_list_comes_in_pages(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[("MAX_SESSIONS_PER_USER", "200")]);
    let first = app.new_session();
    for _ in 0..104 {
        app.session_of(&first.email);
    }
    let (newest, next) = page(&app, &first.access_token, "");
    assert_eq!(newest.len(), 100, "the longest page");
    let (oldest, end) = page(&app, &first.access_token, &format!("after={}", next.unwrap()));
    assert_eq!((oldest.len(), end), (5, None));
    let all = [newest, oldest].concat();
    assert_eq!(all.last(), Some(&first.id()));

    let (mut pages, mut query) = (Vec::new(), "limit=7".to_owned());
    loop {
        let (ids, next) = page(&app, &first.access_token, &query);
        assert!(ids.len() == 7 || next.is_none(), "{ids:?}");
        pages.extend(ids);
        let Some(next) = next else { break };
        query = format!("after={next}&limit=7");
    }
    assert_eq!(pages, all);
    // After a session that no longer exists, the page is empty.
    assert_eq!(page(&app, &first.access_token, "after=AAAAAAAAAAAAAAAAAAAAAA"), (Vec::new(), None));
}

#[rstest]
fn wrong_parameters_of_a_page_are_400(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let token = app.new_session().access_token;
    let get = |query: &str| app.send_as(&token, "GET", &format!("/sessions?{query}"), None);
    for limit in ["0", "101", "-1", "x", "", "1.5", "99999999999999999999"] {
        get(&format!("limit={limit}")).assert_invalid(&["limit"]);
    }
    for after in ["x", "", "AAAAAAAAAAAAAAAAAAAAAAA", "..", "%00"] {
        get(&format!("after={after}")).assert_invalid(&["after"]);
    }
    get("limit=x&after=x").assert_invalid(&["limit", "after"]);
    for query in ["page=1", "limit=1&limit=1", "access_token=x"] {
        get(query).assert_error(400, "query_not_allowed");
    }
}
