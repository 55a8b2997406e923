//! POST /introspect: what a resource server learns about a token.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Answer, HS256, PASSWORD, RESOURCE_SERVERS, RedisServer, SECRETS,
    Store::{self, Embedded, Redis},
    TestApp, claims, expired_access_token, kinds, replicas, text, unix_seconds, wait_until,
};

#[track_caller]
fn assert_inactive(answer: &Answer) {
    answer.assert(200, &json!({"active": false}));
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"), "{answer:?}");
}

#[track_caller]
fn assert_active(answer: &Answer, token: &str, email: &str) {
    let claims = claims(token);
    let mut expected = json!({"active": true, "email": email, "token_type": "Bearer"});
    for name in ["iss", "aud", "sub", "sid", "eid", "jti", "iat", "exp", "client_id", "amr", "auth_time"] {
        if let Some(claim) = claims.get(name) {
            expected[name] = claim.clone();
        }
    }
    answer.assert(200, &expected);
    assert!(answer.json()["exp"].is_u64() && answer.json()["iat"].is_u64(), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
}

#[rstest]
fn a_live_access_token_is_active_on_every_replica(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[RESOURCE_SERVERS]);
    let session = replicas[0].new_session();
    for app in &replicas {
        assert_active(&app.introspect(&session.access_token), &session.access_token, &session.email);
        let refreshed = text(&app.refresh_access_token(&session.refresh_token), "access_token");
        assert_active(&app.introspect(&refreshed), &refreshed, &session.email);
        assert_active(&app.introspect(&session.access_token), &session.access_token, &session.email);
    }
}

#[rstest]
fn the_issuer_and_the_audience_are_those_of_the_settings(#[values(Redis, Embedded)] store: Store) {
    let settings = [("ISSUER", "https://auth.example.com"), ("AUDIENCE", "https://api.example.com"), RESOURCE_SERVERS];
    let app = TestApp::start_with(store, &settings);
    let session = app.new_session();
    let answer = app.introspect(&session.access_token);
    assert_active(&answer, &session.access_token, &session.email);
    let body = answer.json();
    assert_eq!((&body["iss"], &body["aud"]), (&settings[0].1.into(), &settings[1].1.into()), "{body}");
}

#[rstest]
fn a_removed_token_is_inactive_at_once_on_every_replica(
    #[values(Redis, Embedded)] store: Store,
    #[values("removal", "sign-out", "end", "password change", "deletion", "revocation")] by: &str,
) {
    let replicas = replicas(store, &[RESOURCE_SERVERS]);
    for app in &replicas {
        let session = app.new_session();
        let other = app.session_of(&session.email);
        let token = &session.access_token;
        assert_active(&app.introspect(token), token, &session.email);
        let ended = match by {
            "removal" => app.remove_access_token(&session.email),
            "sign-out" => app.send_as(token, "POST", "/signout", None),
            "end" => app.send_as(&other.access_token, "DELETE", &format!("/sessions/{}", session.id()), None),
            "password change" => {
                let body = json!({"current_password": PASSWORD, "new_password": "another password"});
                app.send_as(&other.access_token, "PUT", "/user/password", Some(&body))
            }
            "deletion" => app.delete_user(token, PASSWORD),
            _ => app.revoke(token),
        };
        assert_eq!(ended.status, 200, "{ended:?}");
        for app in &replicas {
            assert_inactive(&app.introspect(token));
        }
    }
}

#[rstest]
fn anything_but_a_live_access_token_is_inactive_and_the_log_says_why(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[&SECRETS[..], &[HS256, RESOURCE_SERVERS]].concat());
    let session = app.new_session();
    let [access, _] = kinds(&session);
    let removed = app.new_session();
    assert_eq!(app.remove_access_token(&removed.email).status, 200);
    // Other letters would also change bits that the encoding leaves unused, so that the text is no token at all.
    let last = if session.access_token.ends_with('A') { 'E' } else { 'A' };
    let tampered = format!("{}{last}", &session.access_token[..session.access_token.len() - 1]);
    let cases: [(&str, &str); 12] = [
        (&session.refresh_token, "wrong_kind"),
        (&removed.access_token, "removed"),
        (&expired_access_token(&session), "expired"),
        (&access.with("exp", (unix_seconds() - 6).into()), "expired"),
        (&access.with("iss", "https://other.example".into()), "wrong_issuer"),
        (&access.with("aud", "https://other.example".into()), "wrong_audience"),
        (&access.with("aud", json!(["auth-service"])), "malformed"),
        (&access.with("nbf", (unix_seconds() + 600).into()), "not_yet_valid"),
        (&access.with_header(&json!({"typ": "at+jwt", "alg": "none"})), "unknown_header"),
        (&access.with_header_field("crit", &json!(["exp"])), "unknown_header"),
        (&tampered, "bad_signature"),
        ("x", "malformed"),
    ];
    for (token, reason) in cases {
        let answer = app.introspect(token);
        assert_inactive(&answer);
        let id = answer.header("x-request-id").unwrap();
        let line = || app.request_log().into_iter().find(|line| line["request_id"] == id);
        wait_until("the request is logged", || line().is_some());
        let line = line().unwrap();
        assert_eq!((&line["status"], &line["reason"]), (&200.into(), &reason.into()), "{line}");
        assert_eq!(line.get("code"), None, "{line}");
    }
    assert_active(&app.introspect(&session.access_token), &session.access_token, &session.email);
    assert!(!app.output().contains(&session.refresh_token), "the log shows no token");
}

#[test]
fn an_outage_is_503_and_never_inactive() {
    let mut redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[RESOURCE_SERVERS]);
    let session = app.new_session();
    redis.kill();
    let answer = app.introspect(&session.access_token);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("retry-after").is_some() && answer.header("www-authenticate").is_none(), "{answer:?}");
    assert!(answer.json().get("active").is_none(), "{answer:?}");
    let code: Value = answer.json()["code"].clone();
    answer.assert_error(503, code.as_str().unwrap());
    // A forged token needs no store.
    assert_inactive(&app.introspect("x"));
    assert_eq!(app.revoke(&session.access_token).status, 503);
}
