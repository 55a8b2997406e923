//! SESSION_MAX_AGE_SECONDS: the longest life of a session, however often it is refreshed.

use rstest::rstest;

use crate::support::{
    PASSWORD, SECRETS, Session,
    Store::{self, Embedded, Redis},
    TestApp, expired_access_token, number, replicas, text, time, wait_until,
};

const MAX_AGE: (&str, &str) = ("SESSION_MAX_AGE_SECONDS", "3");

/// The Unix time at which the session must have ended.
fn end_of(app: &TestApp, session: &Session) -> u64 {
    let created = app.sessions(&session.access_token).remove(0)["created_at"].as_str().unwrap().to_owned();
    let created = humantime::parse_rfc3339(&created).unwrap();
    created.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 3
}

#[rstest]
fn refreshes_never_outlive_the_longest_life_of_a_session(
    #[values(Redis, Embedded)] store: Store,
    #[values("off", "on")] rotation: &str,
) {
    let replicas = replicas(store, &[MAX_AGE, ("REFRESH_TOKEN_ROTATION", rotation)]);
    let email = replicas[0].new_account();
    let answer = replicas[0].authenticate(&email, PASSWORD);
    assert_eq!((number(&answer, "expires_in"), number(&answer, "refresh_expires_in")), (3, 3), "{answer:?}");
    let mut session = Session::of(&email, &answer);
    let end = end_of(&replicas[0], &session);
    for token in [&session.access_token, &session.refresh_token] {
        assert!(time(token, "exp") <= end, "{} > {end}", time(token, "exp"));
    }
    let mut refreshed = 0;
    let mut refused = None;
    wait_until("the session has ended", || {
        let answer = replicas[refreshed % replicas.len()].refresh_access_token(&session.refresh_token);
        if answer.status != 200 {
            refused = Some(answer);
            return true;
        }
        refreshed += 1;
        session.access_token = text(&answer, "access_token");
        let issued = time(&session.access_token, "iat");
        assert!(issued < end && issued + number(&answer, "expires_in") <= end, "{answer:?}");
        assert_eq!(time(&session.access_token, "exp"), issued + number(&answer, "expires_in"));
        if rotation == "on" {
            session.refresh_token = text(&answer, "refresh_token");
            assert!(time(&session.refresh_token, "exp") <= end);
            assert!(issued + number(&answer, "refresh_expires_in") <= end, "{answer:?}");
        }
        false
    });
    refused.unwrap().assert_error(401, "token_expired");
    assert!(refreshed > 0);
    for app in &replicas {
        // The entry expires slightly later than its token: by the time that the request took to reach the store.
        wait_until("the access entry has ended", || app.current_user(&session.access_token).status != 200);
        app.current_user(&session.access_token).assert_error(401, "token_expired");
        app.refresh_access_token(&session.refresh_token).assert_error(401, "token_expired");
    }
}

#[rstest]
fn a_renewed_token_never_outlives_the_session(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[MAX_AGE, SECRETS[0], SECRETS[1]]);
    let session = app.new_session();
    let (end, expired) = (end_of(&app, &session), expired_access_token(&session));
    let headers = [("Authorization", expired.as_str()), ("Refresh-Token", &session.refresh_token)];
    let mut renewals = 0;
    wait_until("the session has ended", || {
        let answer = app.send("GET", "/user", &headers, None);
        if answer.status != 200 {
            answer.assert_error(401, "token_expired");
            return true;
        }
        let token = text(&answer, "access_token");
        assert!(time(&token, "iat") < end && time(&token, "exp") <= end, "{} > {end}", time(&token, "exp"));
        renewals += 1;
        false
    });
    assert!(renewals > 0);
}
