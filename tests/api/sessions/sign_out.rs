//! POST /signout: any genuine token of a session ends it.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Answer, PASSWORD, SECRETS,
    Store::{self, Embedded, Redis},
    TestApp, expired_access_token, kinds, replicas, unix_seconds, wait_until,
};

fn sign_out(app: &TestApp, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
    app.send("POST", "/signout", headers, body.map(Value::to_string).as_deref())
}

#[track_caller]
fn assert_signed_out(answer: &Answer) {
    answer.assert(200, &json!({"result": "Signed out"}));
    assert_eq!(answer.header("access-token"), None, "{answer:?}");
}

#[rstest]
fn any_genuine_token_ends_its_session_and_no_other(
    #[values(Redis, Embedded)] store: Store,
    #[values("access", "expired access", "refresh in the header", "refresh in the body", "expired refresh", "both")]
    with: &str,
) {
    let replicas = replicas(store, &SECRETS);
    let kept = replicas[0].new_session();
    for app in &replicas {
        let session = app.session_of(&kept.email);
        session.assert_lives(&replicas);
        let body = json!({"refresh_token": session.refresh_token});
        let expired = expired_access_token(&session);
        let [_, refresh] = kinds(&session);
        let expired_refresh = refresh.with("exp", (unix_seconds() - 3_600).into());
        let both = [("Authorization", session.access_token.as_str()), ("Refresh-Token", &session.refresh_token)];
        let send = || match with {
            "access" => sign_out(app, &[("Authorization", &session.access_token)], None),
            "expired access" => sign_out(app, &[("Authorization", &format!("Bearer {expired}"))], None),
            "refresh in the header" => sign_out(app, &[("Refresh-Token", &session.refresh_token)], None),
            "expired refresh" => sign_out(app, &[("Refresh-Token", &expired_refresh)], None),
            "both" => sign_out(app, &both, None),
            _ => sign_out(app, &[], Some(&body)),
        };
        assert_signed_out(&send());
        session.assert_dead(&replicas);
        // It is not an error to end a session again.
        assert_signed_out(&send());
        kept.assert_lives(&replicas);
        assert_eq!(app.session_ids(&kept.access_token), [kept.id()]);
    }
}

/// A client may send all tokens that it has.
#[rstest]
fn one_genuine_token_is_enough_and_each_ends_its_session(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let kept = app.new_session();
    let [one, other] = [(); 2].map(|()| app.session_of(&kept.email));
    let both =
        |access: &str, refresh: &str| sign_out(&app, &[("Authorization", access), ("Refresh-Token", refresh)], None);
    let nonsense = both("nonsense", "nonsense");
    nonsense.assert_error(401, "invalid_token");
    one.assert_lives([&app]);
    assert_signed_out(&both("nonsense", &one.refresh_token));
    one.assert_dead([&app]);
    assert_signed_out(&both(&other.access_token, "nonsense"));
    other.assert_dead([&app]);
    let [one, other] = [(); 2].map(|()| app.session_of(&kept.email));
    assert_signed_out(&both(&one.access_token, &other.refresh_token));
    one.assert_dead([&app]);
    other.assert_dead([&app]);
    kept.assert_lives([&app]);
}

#[rstest]
fn a_session_that_has_ended_in_another_way_can_be_signed_out_of(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let [removed, deleted] = [(); 2].map(|()| app.new_session());
    assert_eq!(app.remove_access_token(&removed.email).status, 200);
    assert_eq!(app.delete_user(&deleted.access_token, PASSWORD).status, 200);
    for session in [&removed, &deleted] {
        assert_signed_out(&sign_out(&app, &[("Authorization", &session.access_token)], None));
        assert_signed_out(&sign_out(&app, &[("Refresh-Token", &session.refresh_token)], None));
        let gone = app.refresh_access_token(&session.refresh_token);
        gone.assert_error(404, "token_not_found");
        assert_eq!(gone.json()["error"], "Refresh token not found");
    }
}

#[rstest]
fn only_the_sign_out_of_a_live_session_is_audited(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let headers = [("Authorization", session.access_token.as_str())];
    let ids = [0, 1].map(|_| sign_out(&app, &headers, None).header("x-request-id").unwrap().to_owned());
    wait_until("both requests are logged", || {
        ids.iter().all(|id| app.request_log().iter().any(|line| line["request_id"] == id.as_str()))
    });
    let log = app.log();
    let ended: Vec<_> = log.iter().filter(|line| line["event"] == "session_ended").collect();
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!(ended[0]["request_id"], ids[0].as_str());
}

#[rstest]
fn anything_but_a_genuine_token_is_401(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let missing = sign_out(&app, &[], None);
    missing.assert_error(401, "token_missing");
    assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
    sign_out(&app, &[], Some(&json!({}))).assert_error(401, "token_missing");
    let swapped = json!({"refresh_token": session.access_token});
    for answer in [
        sign_out(&app, &[("Authorization", "nonsense")], None),
        sign_out(&app, &[("Authorization", &session.refresh_token)], None),
        sign_out(&app, &[("Refresh-Token", &session.access_token)], None),
        sign_out(&app, &[], Some(&swapped)),
    ] {
        answer.assert_error(401, "invalid_token");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    }
    let body = json!({"refresh_token": session.refresh_token});
    let two = sign_out(&app, &[("Refresh-Token", &session.refresh_token)], Some(&body));
    two.assert_error(400, "ambiguous_token");
    sign_out(&app, &[], Some(&json!({"refresh_token": 1}))).assert_invalid(&["refresh_token"]);
    session.assert_lives([&app]);
}
