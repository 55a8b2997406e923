//! Auto-renewal: an expired access token with a valid refresh token in `Refresh-Token`.

use std::collections::BTreeMap;

use auth_service::{
    clock::unix_seconds,
    token::{Claims, Tokens},
};
use serde_json::{Value, json};

use crate::{
    app::{ACCESS_SECRET, PASSWORD, REFRESH_SECRET, Session, TestApp},
    raw::Answer,
    redis_server::RedisServer,
    runner::Store,
    session::{assert_accepted, claims, text, time, wait_until_after},
    suite,
};

suite! {
    every_store: [
        an_expired_access_token_is_renewed_once_its_time_is_over,
        every_protected_route_renews,
        an_access_token_that_has_not_expired_is_not_renewed,
        a_bad_refresh_token_renews_nothing,
        two_refresh_tokens_are_400,
        with_rotation_renewal_spends_nothing,
        a_renewed_token_never_outlives_the_session,
    ]
    redis: [
        renewal_writes_the_end_of_access_and_nothing_else,
        a_request_that_fails_authentication_changes_nothing,
    ]
}

const SECRETS: [(&str, &str); 2] = [("AUTH_SECRET_KEY", ACCESS_SECRET), ("REFRESH_SECRET_KEY", REFRESH_SECRET)];

fn start(store: Store, settings: &[(&str, &str)]) -> TestApp {
    TestApp::start_with(store, &[&SECRETS, settings].concat())
}

fn tokens() -> Tokens {
    Tokens::new(ACCESS_SECRET.as_bytes(), REFRESH_SECRET.as_bytes())
}

/// The session's access token, as it would be if it had ended ten seconds ago.
fn expired_access_token(session: &Session) -> String {
    let claims = tokens().access.verify(&session.access_token, unix_seconds()).unwrap();
    let past = unix_seconds() - 10;
    tokens().access.issue(&Claims { iat: past - 60, exp: past, ..claims }).unwrap()
}

/// A protected request with both tokens.
fn ask(app: &TestApp, method: &str, path: &str, access: &str, refresh: &str, body: Option<&Value>) -> Answer {
    let headers = [("Authorization", access), ("Refresh-Token", refresh)];
    app.send(method, path, &headers, body.map(Value::to_string).as_deref())
}

/// The new token of an answer, after a look at what every renewal has.
#[track_caller]
fn renewed(answer: &Answer, session: &Session) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = text(answer, "access_token");
    assert_eq!(answer.header("access-token"), Some(token.as_str()), "{answer:?}");
    assert_eq!(answer.json().get("refresh_token"), None, "{answer:?}");
    let (old, new) = (claims(&session.access_token), claims(&token));
    assert_eq!((&new["sid"], &new["sub"]), (&old["sid"], &old["sub"]));
    assert_ne!(new["jti"], old["jti"]);
    assert!(time(&token, "exp") > time(&token, "iat"));
    token
}

#[track_caller]
fn assert_not_renewed(answer: &Answer) {
    assert_eq!(answer.header("access-token"), None, "{answer:?}");
    assert_eq!(answer.json().get("access_token"), None, "{answer:?}");
}

fn an_expired_access_token_is_renewed_once_its_time_is_over(store: Store) {
    let app = start(store, &[("ACCESS_TOKEN_TTL_SECONDS", "1")]);
    let session = app.new_session();
    wait_until_after(time(&session.access_token, "exp"));
    app.current_user(&session.access_token).assert_error(401, "token_expired");
    for _ in 0..3 {
        let answer = ask(&app, "GET", "/user", &session.access_token, &session.refresh_token, None);
        assert_eq!(answer.json()["data"]["email"], session.email);
        let token = renewed(&answer, &session);
        assert_eq!(time(&token, "exp") - time(&token, "iat"), 1);
    }
    // The refresh token is as good as before.
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
}

fn every_protected_route_renews(store: Store) {
    let app = start(store, &[]);
    let session = app.new_session();
    let expired = expired_access_token(&session);
    let change = json!({"current_password": PASSWORD, "new_password": "another password"});
    let change_back = json!({"current_password": "another password", "new_password": PASSWORD});
    for (method, path, body) in [
        ("GET", "/user", None),
        ("GET", "/user", Some(&json!({"email": session.email}))),
        ("GET", "/sessions", None),
        ("PUT", "/user/password", Some(&change)),
        ("PUT", "/user/password", Some(&change_back)),
        ("DELETE", "/sessions?except=current", None),
    ] {
        // Bare, as the old clients send it, and as a bearer token.
        for access in [expired.clone(), format!("Bearer {expired}")] {
            if method == "PUT" && access == expired {
                continue;
            }
            let answer = ask(&app, method, path, &access, &session.refresh_token, body);
            assert_accepted(&app, &renewed(&answer, &session), &session.email);
        }
    }
    let other = app.session_of(&session.email);
    let path = format!("/sessions/{}", other.id());
    let answer = ask(&app, "DELETE", &path, &expired, &session.refresh_token, None);
    assert_accepted(&app, &renewed(&answer, &session), &session.email);
    other.assert_dead(&[app]);
}

fn an_access_token_that_has_not_expired_is_not_renewed(store: Store) {
    let app = start(store, &[]);
    let session = app.new_session();
    for path in ["/user", "/sessions"] {
        let answer = ask(&app, "GET", path, &session.access_token, &session.refresh_token, None);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_not_renewed(&answer);
        // Nor is the refresh token looked at.
        assert_eq!(ask(&app, "GET", path, &session.access_token, "nonsense", None).status, 200);
    }
}

/// Refresh tokens that must not renew `session`, of which one other session must have ended.
fn bad_refresh_tokens(app: &TestApp, session: &Session) -> Vec<(String, &'static str)> {
    let own = tokens().refresh.verify(&session.refresh_token, unix_seconds()).unwrap();
    let now = unix_seconds();
    let expired = tokens().refresh.issue(&Claims { iat: now - 130, exp: now - 10, ..own }).unwrap();
    let forger = Tokens::new(&[1; 32], &[2; 32]);
    let another_id = tokens().refresh.issue(&Claims { jti: own.sid, ..own }).unwrap();
    vec![
        (app.session_of(&session.email).refresh_token, "invalid_token"),
        (app.new_session().refresh_token, "invalid_token"),
        (forger.refresh.issue(&own).unwrap(), "invalid_token"),
        (tokens().access.issue(&own).unwrap(), "invalid_token"),
        (session.refresh_token.clone() + "x", "invalid_token"),
        ("nonsense".to_owned(), "invalid_token"),
        (expired, "token_expired"),
        (another_id, "token_expired"),
    ]
}

fn a_bad_refresh_token_renews_nothing(store: Store) {
    let app = start(store, &[]);
    let session = app.new_session();
    let expired = expired_access_token(&session);
    for (refresh_token, code) in bad_refresh_tokens(&app, &session) {
        for (method, path) in [("GET", "/user"), ("DELETE", "/sessions"), ("POST", "/signout")] {
            let answer = ask(&app, method, path, &expired, &refresh_token, None);
            answer.assert_error(401, code);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
            assert_not_renewed(&answer);
        }
    }
    // Nor does a good one help an access token that is not genuine, or that is not there.
    let (forger, claims) = (Tokens::new(&[1; 32], &[2; 32]), tokens().access.verify_expired(&expired, unix_seconds()));
    let forged = forger.access.issue(&claims.unwrap()).unwrap();
    ask(&app, "GET", "/user", &forged, &session.refresh_token, None).assert_error(401, "invalid_token");
    let alone = [("Refresh-Token", session.refresh_token.as_str())];
    app.send("GET", "/user", &alone, None).assert_error(401, "token_missing");
    let apps = [app];
    session.assert_lives(&apps);
    // Of a session that was ended, nothing is good any more.
    assert_eq!(apps[0].remove_access_token(&session.email).status, 200);
    let answer = ask(&apps[0], "GET", "/user", &expired, &session.refresh_token, None);
    answer.assert_error(401, "token_expired");
    session.assert_dead(&apps);
}

fn two_refresh_tokens_are_400(store: Store) {
    let app = start(store, &[]);
    let session = app.new_session();
    let (expired, refresh) = (expired_access_token(&session), session.refresh_token.as_str());
    for access in [expired.as_str(), &session.access_token] {
        let headers = [("Authorization", access), ("Refresh-Token", refresh), ("Refresh-Token", refresh)];
        let answer = app.send("GET", "/user", &headers, None);
        answer.assert_error(400, "ambiguous_token");
        assert_not_renewed(&answer);
    }
    session.assert_lives(&[app]);
}

fn with_rotation_renewal_spends_nothing(store: Store) {
    let app = start(store, &[("REFRESH_TOKEN_ROTATION", "on"), ("REFRESH_GRACE_SECONDS", "1")]);
    let mut session = app.new_session();
    let expired = expired_access_token(&session);
    for _ in 0..3 {
        renewed(&ask(&app, "GET", "/user", &expired, &session.refresh_token, None), &session);
    }
    let spent = session.refresh_token.clone();
    session.refresh_token = text(&app.refresh_access_token(&spent), "refresh_token");
    renewed(&ask(&app, "GET", "/user", &expired, &session.refresh_token, None), &session);
    // One that was spent, and whose grace is over, renews nothing; and a renewal that fails ends nothing.
    wait_until_after(time(&session.refresh_token, "iat") + 1);
    ask(&app, "GET", "/user", &expired, &spent, None).assert_error(401, "token_expired");
    renewed(&ask(&app, "GET", "/user", &expired, &session.refresh_token, None), &session);
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
}

fn a_renewed_token_never_outlives_the_session(store: Store) {
    let app = start(store, &[("SESSION_MAX_AGE_SECONDS", "3")]);
    // Several, so that they start at different parts of a second.
    let sessions: Vec<_> = (0..4)
        .map(|_| {
            let session = app.new_session();
            let created = app.sessions(&session.access_token).remove(0)["created_at"].as_str().unwrap().to_owned();
            let created = humantime::parse_rfc3339(&created).unwrap();
            let end = created.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 3;
            std::thread::sleep(std::time::Duration::from_millis(230));
            (expired_access_token(&session), end, session)
        })
        .collect();
    for (expired, end, session) in &sessions {
        let mut renewals = 0;
        loop {
            let before = unix_seconds();
            let answer = ask(&app, "GET", "/user", expired, &session.refresh_token, None);
            if answer.status != 200 {
                answer.assert_error(401, "token_expired");
                break;
            }
            let token = text(&answer, "access_token");
            assert!(before < *end && time(&token, "exp") <= *end, "{} > {end}", time(&token, "exp"));
            renewals += 1;
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(renewals > 0 || session.id() != sessions[0].2.id());
    }
}

/// How often a write has run, and each key with its value and its TTL, up to what passes while one looks.
fn everything(redis: &RedisServer) -> (u64, BTreeMap<String, (String, i64)>) {
    let info: String = redis.command(&["INFO", "commandstats"]);
    let writes = ["set", "setrange", "del", "expire", "hset", "hincrby", "hdel", "incrby"].map(|name| {
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.map_or(0, |rest| rest.split(',').next().unwrap().parse::<u64>().unwrap())
    });
    let keys: Vec<String> = redis.command(&["KEYS", "*"]);
    let life = |key: &str| redis.command::<i64>(&["PTTL", key]);
    let values = keys.into_iter().map(|key| (key.clone(), (redis.command(&["GET", &key]), life(&key))));
    (writes.iter().sum(), values.collect())
}

fn renewal_writes_the_end_of_access_and_nothing_else() {
    for rotation in ["off", "on"] {
        let redis = RedisServer::start(&[]);
        let app = TestApp::start_on(&redis.url(), &[("REFRESH_TOKEN_ROTATION", rotation)]);
        let session = app.new_session();
        app.session_of(&session.email);
        let (expired, tag) = (expired_access_token(&session), claims(&session.access_token)["tag"].clone());
        let key = format!("as:{{{}}}:s:{}", tag.as_str().unwrap(), session.id());
        for path in ["/user", "/sessions"] {
            // A renewal in the same millisecond would give the same end.
            wait_until_after(unix_seconds());
            let (mut writes, mut before) = everything(&redis);
            renewed(&ask(&app, "GET", path, &expired, &session.refresh_token, None), &session);
            let (now_written, mut after) = everything(&redis);
            writes += 1;
            assert_eq!(writes, now_written);
            let ((old, old_life), (new, new_life)) = (before.remove(&key).unwrap(), after.remove(&key).unwrap());
            assert!(new_life > 0 && new_life <= old_life, "{old_life} {new_life}");
            let parts = |value: &str| {
                let (epoch, rest) = value.split_once(' ').unwrap();
                let (access_end, rest) = rest.split_once(' ').unwrap();
                (access_end.parse::<u64>().unwrap(), epoch.to_owned() + rest)
            };
            let ((old_end, old), (new_end, new)) = (parts(&old), parts(&new));
            assert!(old_end < new_end && old == new, "{old_end} {new_end} {old} {new}");
            assert!(before.into_values().map(|(value, _)| value).eq(after.into_values().map(|(value, _)| value)));
        }
    }
}

fn a_request_that_fails_authentication_changes_nothing() {
    for rotation in ["off", "on"] {
        let redis = RedisServer::start(&[]);
        let app = TestApp::start_on(&redis.url(), &[("REFRESH_TOKEN_ROTATION", rotation)]);
        let session = app.new_session();
        let expired = expired_access_token(&session);
        let bad = bad_refresh_tokens(&app, &session);
        let ended = app.session_of(&session.email);
        assert_eq!(app.send_as(&ended.access_token, "POST", "/signout", None).status, 200);
        let change = json!({"current_password": PASSWORD, "new_password": "another password"});
        let password = json!({"password": PASSWORD});
        let (writes, before) = everything(&redis);
        let refused = |access: &str, refresh: &str| {
            for (method, path, body) in [
                ("GET", "/user", None),
                ("GET", "/sessions", None),
                ("PUT", "/user/password", Some(&change)),
                ("DELETE", "/user", Some(&password)),
                ("DELETE", "/sessions", None),
                ("DELETE", "/sessions?except=current", None),
                ("POST", "/signout", None),
            ] {
                assert_eq!(ask(&app, method, path, access, refresh, body).status, 401, "{method} {path}");
            }
        };
        for (refresh_token, _) in &bad {
            refused(&expired, refresh_token);
        }
        refused(&ended.access_token, &ended.refresh_token);
        refused(&expired_access_token(&ended), &ended.refresh_token);
        let (now_written, after) = everything(&redis);
        assert_eq!(writes, now_written);
        assert!(before.into_values().map(|(value, _)| value).eq(after.into_values().map(|(value, _)| value)));
    }
}
