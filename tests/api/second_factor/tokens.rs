//! `amr` and `auth_time`: how and when the user signed in.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Kind, RESOURCE_SERVERS, SECRETS,
    Store::{self, Embedded, Redis},
    TestApp, claims, expired_access_token, kinds, start, text, time, wait_until_after,
};

#[track_caller]
fn assert_signed_in(token: &str, amr: &Value, auth_time: u64) {
    let claims = claims(token);
    assert_eq!((&claims["amr"], &claims["auth_time"]), (amr, &json!(auth_time)), "{claims}");
}

#[rstest]
fn every_later_token_tells_how_and_when_the_user_signed_in(
    #[values(Redis, Embedded)] store: Store,
    #[values("off", "on")] rotation: &str,
) {
    let settings = [&SECRETS[..], &[("REFRESH_TOKEN_ROTATION", rotation), RESOURCE_SERVERS]].concat();
    let app = TestApp::start_with(store, &settings);
    let (first, authenticator) = app.account_with_totp();
    let by_code = app.sign_in_with(&first.email, &authenticator.code());
    let by_recovery_code = app.sign_in_with(&first.email, authenticator.recovery_code());
    for (session, amr) in
        [(&first, json!(["pwd"])), (&by_code, json!(["pwd", "otp", "mfa"])), (&by_recovery_code, json!(["pwd", "mfa"]))]
    {
        let auth_time = time(&session.access_token, "auth_time");
        assert_eq!(auth_time, time(&session.access_token, "iat"));
        assert_signed_in(&session.access_token, &amr, auth_time);
        wait_until_after(auth_time);
        let refreshed = app.refresh_access_token(&session.refresh_token);
        let token = text(&refreshed, "access_token");
        assert!(time(&token, "iat") > auth_time);
        assert_signed_in(&token, &amr, auth_time);
        let introspected = app.introspect(&token).json();
        assert_eq!((&introspected["amr"], &introspected["auth_time"]), (&amr, &json!(auth_time)));
        let successor =
            if rotation == "on" { text(&refreshed, "refresh_token") } else { session.refresh_token.clone() };
        let expired = expired_access_token(session);
        let headers = [("Authorization", expired.as_str()), ("Refresh-Token", &successor)];
        assert_signed_in(&text(&app.send("GET", "/user", &headers, None), "access_token"), &amr, auth_time);
        assert_signed_in(&text(&app.refresh_access_token(&successor), "access_token"), &amr, auth_time);
    }
    // The new access token of a session that has moved to another epoch.
    let moved = app.send_as(&by_code.access_token, "DELETE", "/sessions?except=current", None);
    let auth_time = time(&by_code.access_token, "auth_time");
    assert_signed_in(&text(&moved, "access_token"), &json!(["pwd", "otp", "mfa"]), auth_time);
}

#[rstest]
fn tokens_of_the_version_before_are_accepted_and_refreshed(#[values(Redis, Embedded)] store: Store) {
    let app = start(store);
    let session = app.new_session();
    let [access, refresh] = kinds(&session);
    let without = |kind: &Kind| {
        let mut claims = kind.claims();
        for name in ["amr", "auth_time"] {
            claims.as_object_mut().unwrap().remove(name).unwrap();
        }
        kind.sign(&claims)
    };
    access.assert_accepted(&app, &without(&access));
    let refreshed = app.refresh_access_token(&without(&refresh));
    let claims = claims(&text(&refreshed, "access_token"));
    assert_eq!((claims.get("amr"), claims.get("auth_time")), (None, None), "nobody knows them");
    for (amr, is_accepted) in [(json!(["hwk", "mfa"]), true), (json!([]), true), (json!("pwd"), false)] {
        assert_eq!(app.current_user(&access.with("amr", amr.clone())).status == 200, is_accepted, "{amr}");
    }
}
