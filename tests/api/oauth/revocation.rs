//! POST /revoke: any genuine token ends its session.

use rstest::rstest;
use serde_json::json;

use crate::support::{
    Answer, CREDENTIALS, RESOURCE_SERVERS, SECRETS,
    Store::{self, Embedded, Redis},
    TestApp, expired_access_token, kinds, replicas, text, unix_seconds, wait_until,
};

#[track_caller]
fn assert_revoked(answer: &Answer) {
    answer.assert(200, &json!({"result": "Token revoked"}));
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    assert_eq!(answer.header("access-token"), None, "{answer:?}");
}

#[rstest]
fn a_genuine_token_of_either_kind_ends_its_session_and_no_other(
    #[values(Redis, Embedded)] store: Store,
    #[values("access", "expired access", "refresh", "expired refresh")] with: &str,
    #[values(None, Some(CREDENTIALS))] credentials: Option<(&str, &str)>,
) {
    let replicas = replicas(store, &[&SECRETS[..], &[RESOURCE_SERVERS]].concat());
    let kept = replicas[0].new_session();
    for app in &replicas {
        let session = app.session_of(&kept.email);
        session.assert_lives(&replicas);
        let [_, refresh] = kinds(&session);
        let token = match with {
            "access" => session.access_token.clone(),
            "expired access" => expired_access_token(&session),
            "refresh" => session.refresh_token.clone(),
            _ => refresh.with("exp", (unix_seconds() - 3_600).into()),
        };
        let headers: Vec<_> = credentials.into_iter().collect();
        // A wrong hint has no effect, and to revoke a token again is no error.
        for hint in ["", "&token_type_hint=access_token", "&token_type_hint=refresh_token"] {
            assert_revoked(&app.send_form("/revoke", &headers, format!("token={token}{hint}")));
            session.assert_dead(&replicas);
        }
        kept.assert_lives(&replicas);
        assert_eq!(app.session_ids(&kept.access_token), [kept.id()]);
    }
}

#[rstest]
fn an_unknown_or_forged_token_changes_nothing(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &SECRETS);
    let session = app.new_session();
    for kind in kinds(&session) {
        for token in [
            kind.with("iss", "https://other.example".into()),
            kind.with_header(&json!({"typ": kind.typ, "alg": "none"})),
            format!("{} ", kind.genuine),
            format!("Bearer {}", kind.genuine),
            kind.genuine[..kind.genuine.len() - 2].to_owned(),
            "x".to_owned(),
        ] {
            assert_revoked(&app.revoke(&token));
        }
    }
    session.assert_lives([&app]);
}

#[rstest]
fn a_revocation_is_audited_once_as_the_end_of_a_session(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let answers = [&*session.refresh_token, &session.refresh_token, "x"].map(|token| app.revoke(token));
    let ids = answers.map(|answer| answer.header("x-request-id").unwrap().to_owned());
    wait_until("all requests are logged", || {
        ids.iter().all(|id| app.request_log().iter().any(|line| line["request_id"] == id.as_str()))
    });
    let log = app.log();
    let ended: Vec<_> = log.iter().filter(|line| line["event"] == "session_ended").collect();
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!((&ended[0]["request_id"], &ended[0]["session_id"]), (&ids[0].as_str().into(), &session.id().into()));
}

#[rstest]
fn with_rotation_a_spent_refresh_token_counts_as_reuse(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[("REFRESH_TOKEN_ROTATION", "on"), ("REFRESH_GRACE_SECONDS", "0")]);
    let session = app.new_session();
    let first = app.refresh_access_token(&session.refresh_token);
    let second = app.refresh_access_token(&text(&first, "refresh_token"));
    assert_eq!(second.status, 200, "{second:?}");
    assert_revoked(&app.revoke(&session.refresh_token));
    app.refresh_access_token(&text(&second, "refresh_token")).assert_error(404, "token_not_found");
    wait_until("the reuse is audited", || app.log().iter().any(|line| line["event"] == "token_reused"));
}
