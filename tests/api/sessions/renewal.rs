//! Auto-renewal: an expired access token with a valid refresh token in `Refresh-Token`.

use std::collections::BTreeMap;

use auth_service_token::{Claims, Tokens};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Answer, Keys, PASSWORD, RedisServer, SECRETS, Session,
    Store::{self, Embedded, Redis},
    TestApp, access_claims, assert_accepted, claims, expired_access_token, text, time, tokens, unix_seconds,
    wait_until, wait_until_after,
};

fn start(store: Store, settings: &[(&str, &str)]) -> TestApp {
    TestApp::start_with(store, &[&SECRETS, settings].concat())
}

/// A protected request with both tokens.
fn ask(app: &TestApp, method: &str, path: &str, access: &str, refresh: &str, body: Option<&Value>) -> Answer {
    let headers = [("Authorization", access), ("Refresh-Token", refresh)];
    app.send(method, path, &headers, body.map(Value::to_string).as_deref())
}

/// Asserts that an answer has everything that a renewal has, and returns the new access token.
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

#[rstest]
fn an_access_token_is_renewed_once_it_has_expired(#[values(Redis, Embedded)] store: Store) {
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
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
}

#[rstest]
fn every_protected_route_that_keeps_the_session_renews(#[values(Redis, Embedded)] store: Store) {
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
        // Bare and as a bearer token.
        for access in [expired.clone(), format!("Bearer {expired}")] {
            if method == "PUT" && access == expired {
                continue;
            }
            let answer = ask(&app, method, path, &access, &session.refresh_token, body);
            assert_accepted(&app, &renewed(&answer, &session), &session.email);
        }
    }
}

/// A new token would be useless, because it would end with the session.
#[rstest]
fn a_route_that_ends_the_session_issues_no_token(#[values(Redis, Embedded)] store: Store) {
    let app = start(store, &[]);
    let kept = app.new_session();
    let delete = json!({"password": PASSWORD});
    let open = || app.session_of(&kept.email);
    let (one, other) = (open(), open());
    let own = format!("/sessions/{}", one.id());
    let owner = start(store, &[("TOKEN_REMOVAL", "owner")]);
    for (app, method, path, body, session) in [
        (&app, "DELETE", own.as_str(), None, one.clone()),
        (&app, "POST", "/signout", None, other),
        (&app, "DELETE", "/sessions", None, open()),
        (&app, "DELETE", "/access-token", None, open()),
        (&owner, "DELETE", "/access-token", None, owner.new_session()),
        (&app, "DELETE", "/user", Some(&delete), app.new_session()),
    ] {
        // An earlier request may have ended the session.
        let session = if app.current_user(&session.access_token).status == 200 { session } else { open() };
        let answer = ask(app, method, path, &expired_access_token(&session), &session.refresh_token, body);
        assert_eq!(answer.status, 200, "{method} {path} {answer:?}");
        assert_not_renewed(&answer);
        session.assert_dead([app]);
    }
}

#[rstest]
fn a_renewal_is_audited(#[values(Redis, Embedded)] store: Store) {
    let app = start(store, &[]);
    let session = app.new_session();
    let expired = expired_access_token(&session);
    let answer = ask(&app, "GET", "/user", &expired, &session.refresh_token, None);
    renewed(&answer, &session);
    let id = answer.header("x-request-id").unwrap();
    let is_it = |line: &Value| {
        line["target"] == "audit"
            && line["event"] == "renewed"
            && line["request_id"] == id
            && line["session_id"] == session.id()
            && line["address"] == "127.0.0.1"
    };
    wait_until("the renewal is logged", || app.log().iter().filter(|line| is_it(line)).count() == 1);
}

#[rstest]
fn an_access_token_that_has_not_expired_is_not_renewed(#[values(Redis, Embedded)] store: Store) {
    let app = start(store, &[]);
    let session = app.new_session();
    for path in ["/user", "/sessions"] {
        let answer = ask(&app, "GET", path, &session.access_token, &session.refresh_token, None);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_not_renewed(&answer);
        // The server does not check the refresh token.
        assert_eq!(ask(&app, "GET", path, &session.access_token, "nonsense", None).status, 200);
    }
}

/// Refresh tokens that must not renew `session`.
fn bad_refresh_tokens(app: &TestApp, session: &Session) -> Vec<(String, &'static str)> {
    let now = unix_seconds();
    let own = tokens().refresh.verify(&session.refresh_token, now).unwrap();
    let expired = tokens().refresh.issue(&Claims { iat: now - 130, exp: now - 10, ..own });
    let forger = Tokens::new(&[1; 32], &[2; 32]);
    vec![
        (app.session_of(&session.email).refresh_token, "invalid_token"),
        (app.new_session().refresh_token, "invalid_token"),
        (forger.refresh.issue(&own), "invalid_token"),
        (tokens().access.issue(&own).unwrap(), "invalid_token"),
        (session.refresh_token.clone() + "x", "invalid_token"),
        ("nonsense".to_owned(), "invalid_token"),
        (expired, "token_expired"),
    ]
}

#[rstest]
fn a_bad_refresh_token_renews_nothing(#[values(Redis, Embedded)] store: Store) {
    let app = start(store, &[]);
    let session = app.new_session();
    let expired = expired_access_token(&session);
    for (refresh_token, code) in bad_refresh_tokens(&app, &session) {
        for (method, path) in [("GET", "/user"), ("DELETE", "/sessions")] {
            let answer = ask(&app, method, path, &expired, &refresh_token, None);
            answer.assert_error(401, code);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
            assert_not_renewed(&answer);
        }
    }
    // A valid refresh token does not make up for a forged or missing access token.
    let claims = access_claims(&expired);
    let forged = Tokens::new(&[1; 32], &[2; 32]).access.issue(&claims).unwrap();
    ask(&app, "GET", "/user", &forged, &session.refresh_token, None).assert_error(401, "invalid_token");
    let alone = [("Refresh-Token", session.refresh_token.as_str())];
    app.send("GET", "/user", &alone, None).assert_error(401, "token_missing");
    session.assert_lives([&app]);
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    ask(&app, "GET", "/user", &expired, &session.refresh_token, None).assert_error(401, "token_expired");
    session.assert_dead([&app]);
}

/// The store cannot distinguish an id that the session never had from the id of a spent token.
#[rstest]
fn a_refresh_token_with_an_unknown_id_ends_the_session(#[values(Redis, Embedded)] store: Store) {
    let app = start(store, &[]);
    for by_renewal in [false, true] {
        let session = app.new_session();
        let own = tokens().refresh.verify(&session.refresh_token, unix_seconds()).unwrap();
        let another = tokens().refresh.issue(&Claims { jti: own.sid, ..own });
        let answer = if by_renewal {
            ask(&app, "GET", "/user", &expired_access_token(&session), &another, None)
        } else {
            app.refresh_access_token(&another)
        };
        answer.assert_error(401, "token_reused");
        session.assert_dead([&app]);
    }
}

#[rstest]
fn two_refresh_tokens_are_400(#[values(Redis, Embedded)] store: Store) {
    let app = start(store, &[]);
    let session = app.new_session();
    let (expired, refresh) = (expired_access_token(&session), session.refresh_token.as_str());
    for access in [expired.as_str(), &session.access_token] {
        let headers = [("Authorization", access), ("Refresh-Token", refresh), ("Refresh-Token", refresh)];
        let answer = app.send("GET", "/user", &headers, None);
        answer.assert_error(400, "ambiguous_token");
        assert_not_renewed(&answer);
    }
    session.assert_lives([&app]);
}

#[rstest]
fn with_rotation_a_renewal_does_not_spend_the_refresh_token(#[values(Redis, Embedded)] store: Store) {
    let app = start(store, &[("REFRESH_TOKEN_ROTATION", "on")]);
    let session = app.new_session();
    let expired = expired_access_token(&session);
    for _ in 0..3 {
        renewed(&ask(&app, "GET", "/user", &expired, &session.refresh_token, None), &session);
    }
    let answer = app.refresh_access_token(&session.refresh_token);
    assert_eq!(answer.status, 200, "{answer:?}");
    renewed(&ask(&app, "GET", "/user", &expired, &text(&answer, "refresh_token"), None), &session);
}

/// Every key with its value.
fn values(redis: &RedisServer) -> BTreeMap<String, Vec<u8>> {
    redis.keys().into_iter().map(|key| (key.clone(), redis.command(&["DUMP", &key]))).collect()
}

#[rstest]
fn a_request_that_fails_authentication_changes_nothing(#[values("off", "on")] rotation: &str) {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[("REFRESH_TOKEN_ROTATION", rotation)]);
    let session = app.new_session();
    let expired = expired_access_token(&session);
    let bad = bad_refresh_tokens(&app, &session);
    let ended = app.session_of(&session.email);
    assert_eq!(app.send_as(&ended.access_token, "POST", "/signout", None).status, 200);
    let change = json!({"current_password": PASSWORD, "new_password": "another password"});
    let password = json!({"password": PASSWORD});
    let before = values(&redis);
    let refused = |access: &str, refresh: &str| {
        for (method, path, body) in [
            ("GET", "/user", None),
            ("GET", "/sessions", None),
            ("PUT", "/user/password", Some(&change)),
            ("DELETE", "/user", Some(&password)),
            ("DELETE", "/sessions", None),
            ("DELETE", "/sessions?except=current", None),
        ] {
            assert_eq!(ask(&app, method, path, access, refresh, body).status, 401, "{method} {path}");
        }
    };
    for (refresh_token, _) in &bad {
        refused(&expired, refresh_token);
    }
    refused(&ended.access_token, &ended.refresh_token);
    refused(&expired_access_token(&ended), &ended.refresh_token);
    assert_eq!(values(&redis), before);
}

/// Every key with its value, but without the access entry and the time of the last use.
fn values_that_last(redis: &RedisServer, keys: &Keys) -> (BTreeMap<String, Vec<u8>>, BTreeMap<String, String>) {
    let mut values = values(redis);
    values.remove(&keys.access());
    values.remove(&keys.refresh()).unwrap();
    let mut refresh: BTreeMap<String, String> = redis.command(&["HGETALL", &keys.refresh()]);
    refresh.remove("last_used").unwrap();
    (values, refresh)
}

#[test]
fn a_renewal_writes_the_access_entry_and_the_time_of_use_and_nothing_else() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    let (keys, expired) = (Keys::of(&session), expired_access_token(&session));
    for path in ["/user", "/sessions"] {
        redis.command::<()>(&["DEL", &keys.access()]);
        let before = values_that_last(&redis, &keys);
        renewed(&ask(&app, "GET", path, &expired, &session.refresh_token, None), &session);
        redis.assert_life(&keys.access(), 60);
        assert_eq!(values_that_last(&redis, &keys), before);
    }
}
