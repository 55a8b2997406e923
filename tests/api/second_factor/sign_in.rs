//! The two steps of a sign-in.

use auth_service_token::{Id, MfaClaims};
use rstest::rstest;
use serde_json::json;

use super::secrecy::record;
use crate::support::{
    Keys, PASSWORD, RESOURCE_SERVERS, RedisServer, Session,
    Store::{self, Embedded, Redis},
    TestApp, assert_accepted, claims, replicas, start, tag, text, tokens, unix_seconds,
};

#[rstest]
fn the_password_alone_opens_nothing(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[RESOURCE_SERVERS]);
    let (app, other) = (&replicas[0], replicas.last().unwrap());
    let (session, authenticator) = app.account_with_totp();
    for method in ["GET", "POST"] {
        let body = json!({"email": session.email, "password": PASSWORD});
        let answer = other.send_json(method, "/authenticate", &body);
        let error = "The account has a second factor; send the mfa_token and a code to /authenticate/totp";
        answer.assert(
            401,
            &json!({
                "result": "Error occurred",
                "error": error,
                "code": "mfa_required",
                "mfa_token": text(&answer, "mfa_token"),
                "mfa_expires_in": 300,
            }),
        );
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    app.authenticate(&session.email, "wrong password").assert_error(401, "invalid_credentials");
    assert_eq!(app.session_ids(&session.access_token), [session.id()], "only the session from before");
    let mfa_token = app.mfa_token(&session.email);
    app.current_user(&mfa_token).assert_error(401, "invalid_token");
    app.refresh_access_token(&mfa_token).assert_error(401, "invalid_token");
    app.send_as(&mfa_token, "POST", "/signout", None).assert_error(401, "invalid_token");
    app.introspect(&mfa_token).assert(200, &json!({"active": false}));
    assert_eq!(app.revoke(&mfa_token).status, 200, "as for any text");
    let second = Session::of(&session.email, &other.authenticate_totp(&mfa_token, &authenticator.code()));
    second.assert_lives(&replicas);
    session.assert_lives(&replicas);
    assert_eq!(app.session_ids(&session.access_token), [second.id(), session.id()]);
}

#[test]
fn the_first_step_writes_no_key_of_a_session() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let (session, _) = app.account_with_totp();
    app.mfa_token(&session.email);
    assert_eq!(redis.keys(), Keys::of(&session).all());
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    app.mfa_token(&session.email);
    // The removal has left orphans, which belong to no live session.
    assert_eq!(redis.life(&Keys::of(&session).epoch()), -2);
    app.remove_access_token(&session.email).assert_error(404, "token_not_found");
}

#[rstest]
fn a_code_counts_once_over_all_replicas(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[]);
    let (session, authenticator) = replicas[0].account_with_totp();
    let mfa_token = replicas[0].mfa_token(&session.email);
    let first = authenticator.code();
    assert_eq!(replicas[0].authenticate_totp(&mfa_token, &first).status, 200);
    for app in &replicas {
        app.authenticate_totp(&mfa_token, &first).assert_error(401, "invalid_code");
    }
    // A right code resets the failures, so that the next ones are compared.
    let second = authenticator.code();
    assert_eq!(replicas[0].authenticate_totp(&mfa_token, &second).status, 200);
    for code in [&first, &second] {
        for app in replicas.iter().take(2) {
            app.authenticate_totp(&mfa_token, code).assert_error(401, "invalid_code");
        }
    }
}

#[rstest]
fn an_earlier_code_does_not_count_after_a_later_one(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (session, authenticator) = app.account_with_totp();
    let mfa_token = app.mfa_token(&session.email);
    let (earlier, later) = (authenticator.code(), authenticator.code());
    assert_eq!(app.authenticate_totp(&mfa_token, &later).status, 200);
    app.authenticate_totp(&mfa_token, &earlier).assert_error(401, "invalid_code");
}

#[rstest]
fn a_code_of_another_time_or_of_another_user_is_wrong(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (session, authenticator) = app.account_with_totp();
    let (_, stranger) = app.account_with_totp();
    let mfa_token = app.mfa_token(&session.email);
    for code in [&authenticator.code_in(-3), &authenticator.code_in(4), &stranger.code_in(1)] {
        app.authenticate_totp(&mfa_token, code).assert_error(401, "invalid_code");
    }
    app.authenticate_totp(&mfa_token, stranger.recovery_code()).assert_error(401, "invalid_code");
}

#[rstest]
fn a_recovery_code_counts_once(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[]);
    let (app, other) = (&replicas[0], replicas.last().unwrap());
    let (session, authenticator) = app.account_with_totp();
    let mfa_token = app.mfa_token(&session.email);
    let [first, second] = [(); 2].map(|()| authenticator.recovery_code());
    assert_eq!(app.authenticate_totp(&mfa_token, first).status, 200);
    other.authenticate_totp(&mfa_token, first).assert_error(401, "invalid_code");
    assert_eq!(other.authenticate_totp(&mfa_token, &second.replace('-', "").to_lowercase()).status, 200);
    app.authenticate_totp(&mfa_token, second).assert_error(401, "invalid_code");
    // The codes of the app go on.
    assert_eq!(app.authenticate_totp(&mfa_token, &authenticator.code()).status, 200);
}

#[rstest]
fn a_changed_password_or_second_factor_ends_the_mfa_token(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (session, authenticator) = app.account_with_totp();
    let mfa_token = app.mfa_token(&session.email);
    let changed = app.change_password(&session.access_token, PASSWORD, "another password");
    let token = text(&changed, "access_token");
    app.authenticate_totp(&mfa_token, &authenticator.code()).assert_error(401, "invalid_mfa_token");
    let answer = app.authenticate(&session.email, "another password");
    let mfa_token = text(&answer, "mfa_token");
    let code = authenticator.code();
    assert_eq!(app.remove_totp(&token, "another password", &code).status, 200);
    app.authenticate_totp(&mfa_token, &authenticator.code_in(0)).assert_error(401, "invalid_mfa_token");
    // The same token does not open the account with the next second factor either.
    assert_eq!(app.change_password(&token, "another password", PASSWORD).status, 200);
    let session = app.session_of(&session.email);
    let next = app.enable_totp(&session.access_token);
    app.authenticate_totp(&mfa_token, next.recovery_code()).assert_error(401, "invalid_mfa_token");
    assert_eq!(app.delete_user(&session.access_token, PASSWORD).status, 200);
    app.authenticate_totp(&mfa_token, next.recovery_code()).assert_error(401, "invalid_mfa_token");
}

#[test]
fn the_next_second_factor_of_the_same_second_ends_the_mfa_token() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let (session, authenticator) = app.account_with_totp();
    let mfa_token = app.mfa_token(&session.email);
    let former = record(&redis, &session)["totp"]["confirmed_at"].clone();
    assert_eq!(app.remove_totp(&session.access_token, PASSWORD, authenticator.recovery_code()).status, 200);
    let next = app.enable_totp(&session.access_token);
    let mut changed = record(&redis, &session);
    changed["totp"]["confirmed_at"] = former;
    let () = redis.command(&["SET", &Keys::of(&session).user(), &changed.to_string()]);
    app.authenticate_totp(&mfa_token, next.recovery_code()).assert_error(401, "invalid_mfa_token");
    assert_eq!(app.authenticate_totp(&app.mfa_token(&session.email), next.recovery_code()).status, 200);
}

#[rstest]
fn only_the_mfa_token_of_the_server_is_accepted(#[values(Redis, Embedded)] store: Store) {
    let app = start(store);
    let (session, authenticator) = app.account_with_totp();
    let genuine = app.mfa_token(&session.email);
    let own = claims(&genuine);
    let id = |name: &str| Id::parse(own[name].as_str().unwrap()).unwrap();
    let now = unix_seconds();
    let minted = MfaClaims {
        sub: own["sub"].as_str().unwrap().parse().unwrap(),
        tag: Id::parse(&tag(&session.email)).unwrap(),
        factors: id("sid"),
        jti: id("jti"),
        iat: now,
        exp: now + 60,
    };
    let code = authenticator.code();
    let (header, rest) = genuine.split_once('.').unwrap();
    let (access_header, access_rest) = session.access_token.split_once('.').unwrap();
    for (token, why) in [
        (tokens().mfa.issue(&MfaClaims { exp: now - 6, ..minted }), "expired"),
        (tokens().mfa.issue(&MfaClaims { factors: id("jti"), ..minted }), "other factors"),
        (tokens().mfa.issue(&MfaClaims { tag: id("jti"), ..minted }), "no account"),
        (session.access_token.clone(), "an access token"),
        (session.refresh_token.clone(), "a refresh token"),
        (format!("{header}.{access_rest}"), "an access token under another header"),
        (format!("{access_header}.{rest}"), "another header"),
        (genuine[..genuine.len() - 2].to_owned(), "cut"),
        (String::new(), "empty"),
        ("x".repeat(5_000), "long"),
    ] {
        let answer = app.authenticate_totp(&token, &code);
        answer.assert_error(401, "invalid_mfa_token");
        assert!(token.is_empty() || !answer.body.contains(&token), "{why}");
    }
    // Nothing of this has spent the code.
    let answer = app.authenticate_totp(&tokens().mfa.issue(&minted), &code);
    let second = Session::of(&session.email, &answer);
    assert_accepted(&app, &second.access_token, &session.email);
}
