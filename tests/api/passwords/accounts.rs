//! PUT /user/password and DELETE /user, and simultaneous sign-ups.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Answer, Data, PASSWORD, PROXY, SECRETS, Session,
    Store::{self, Embedded, Redis},
    TestApp, assert_accepted, assert_moved, expired_access_token, guess_until_throttled, replicas, text,
    unique_address, unique_email,
};

const NEW: &str = "battery staple";
const CHANGED: &str = "Password changed, all other sessions ended";

#[track_caller]
fn wrong_password(answer: &Answer) {
    answer.assert_error(403, "wrong_password");
    assert_eq!(answer.header("www-authenticate"), None, "a challenge would make clients drop their tokens");
}

#[rstest]
fn a_wrong_current_password_is_403_and_changes_nothing(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[]);
    let session = replicas[0].new_session();
    let other = replicas[0].session_of(&session.email);
    for app in &replicas {
        for wrong in [NEW, "Correct horse", "correct horse "] {
            wrong_password(&app.change_password(&session.access_token, wrong, NEW));
        }
        app.authenticate(&session.email, NEW).assert_error(401, "invalid_credentials");
        // A fifth failure in a row would start a wait, so a sign-in resets the count.
        app.session_of(&session.email);
    }
    session.assert_lives(&replicas);
    other.assert_lives(&replicas);
}

#[rstest]
fn both_passwords_of_a_change_are_checked_at_once(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let put = |body: &Value| app.send_as(&session.access_token, "PUT", "/user/password", Some(body));
    let both = ["current_password", "new_password"];
    put(&json!({})).assert_invalid(&both);
    put(&json!({"current_password": "", "new_password": "12345"})).assert_invalid(&both);
    put(&json!({"current_password": 1, "new_password": null})).assert_invalid(&both);
    put(&json!({"current_password": "x".repeat(1025), "new_password": "x".repeat(1025)})).assert_invalid(&both);
    put(&json!({"current_password": PASSWORD})).assert_invalid(&["new_password"]);
    put(&json!({"new_password": NEW})).assert_invalid(&["current_password"]);
    let short = put(&json!({"current_password": PASSWORD, "new_password": "🗝🗝🗝🗝🗝"}));
    short.assert_invalid(&["new_password"]);
    assert_eq!(short.json()["fields"][0]["message"], "must have at least 6 characters");
    put(&json!([PASSWORD, NEW])).assert_error(400, "invalid_json");
    let twice = format!(r#"{{"current_password": "{PASSWORD}", "new_password": "{NEW}", "new_password": "{NEW}"}}"#);
    let authorization = [("Authorization", session.access_token.as_str())];
    app.send("PUT", "/user/password", &authorization, Some(&twice)).assert_error(400, "invalid_json");
    app.send("PUT", "/user/password", &authorization, None).assert_error(400, "invalid_json");
    let planted = "planted-secret-5f1c";
    for body in [json!({"current_password": planted, "new_password": planted}), json!({"current_password": [planted]})]
    {
        let answer = put(&body);
        assert!(answer.status >= 400 && !answer.body.contains(planted), "{answer:?}");
    }
    assert!(!app.output().contains(planted));
    app.session_of(&session.email);
}

#[rstest]
fn the_minimum_length_applies_only_to_the_new_password(#[values(Redis, Embedded)] store: Store) {
    let data = Data::new(store);
    let app = data.start(&[]);
    let session = app.new_session();
    drop(app);
    let app = data.start(&[("PASSWORD_MIN_LENGTH", "15")]);
    let short = app.change_password(&session.access_token, PASSWORD, "fourteen chars");
    short.assert_invalid(&["new_password"]);
    assert_eq!(short.json()["fields"][0]["message"], "must have at least 15 characters");
    assert_eq!(app.change_password(&session.access_token, PASSWORD, "fifteen chars !").status, 200);
    assert_eq!(app.authenticate(&session.email, "fifteen chars !").status, 200);
}

#[rstest]
fn a_change_ends_all_other_sessions_and_keeps_the_current_one(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[]);
    let bystander = replicas[0].new_session();
    let kept = replicas[0].new_session();
    let (mut old, mut new) = (PASSWORD.to_owned(), NEW.to_owned());
    for (n, app) in replicas.iter().cycle().take(3).enumerate() {
        let others: Vec<_> = replicas.iter().map(|app| app.sign_in(&kept.email, &old)).collect();
        let refreshed = text(&app.refresh_access_token(&kept.refresh_token), "access_token");
        // The server accepts any access token of the session.
        let token = if n == 1 { &refreshed } else { &kept.access_token };
        assert_moved(&app.change_password(token, &old, &new), CHANGED);
        for session in &others {
            session.assert_dead(&replicas);
        }
        for app in &replicas {
            app.authenticate(&kept.email, &old).assert_error(401, "invalid_credentials");
            assert_accepted(app, &refreshed, &kept.email);
        }
        kept.assert_lives(&replicas);
        assert_eq!(app.session_ids(&kept.access_token), [kept.id()]);
        let fresh = app.sign_in(&kept.email, &new);
        fresh.assert_lives(&replicas);
        std::mem::swap(&mut old, &mut new);
    }
    bystander.assert_lives(&replicas);
}

/// A client that got no answer to its change sends the same request again.
#[rstest]
fn a_repeated_change_succeeds_like_the_first(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[SECRETS[0], SECRETS[1]]);
    let kept = replicas[0].new_session();
    for app in replicas.iter().cycle().take(7) {
        assert_moved(&app.change_password(&kept.access_token, PASSWORD, NEW), CHANGED);
    }
    let app = replicas.last().unwrap();
    // The access token may have expired in the meantime.
    let expired = expired_access_token(&kept);
    let headers = [("Authorization", expired.as_str()), ("Refresh-Token", &kept.refresh_token)];
    let body = json!({"current_password": PASSWORD, "new_password": NEW}).to_string();
    let renewed = app.send("PUT", "/user/password", &headers, Some(&body));
    assert_eq!((renewed.status, &renewed.json()["result"]), (200, &json!(CHANGED)), "{renewed:?}");
    kept.assert_lives(&replicas);
    // The result says that all other sessions are ended.
    let other = app.sign_in(&kept.email, NEW);
    assert_moved(&app.change_password(&kept.access_token, PASSWORD, NEW), CHANGED);
    other.assert_dead(&replicas);
    app.authenticate(&kept.email, PASSWORD).assert_error(401, "invalid_credentials");
    assert_eq!(app.authenticate(&kept.email, NEW).status, 200);
}

#[rstest]
fn a_change_that_only_resembles_a_repetition_is_403(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[]);
    let app = &replicas[0];
    let session = app.new_session();
    // Before the first change there is nothing to repeat: the new password is no second guess.
    wrong_password(&app.change_password(&session.access_token, NEW, PASSWORD));
    assert_eq!(app.change_password(&session.access_token, PASSWORD, NEW).status, 200);
    for app in &replicas {
        // Another new password than that of the change.
        wrong_password(&app.change_password(&session.access_token, PASSWORD, "something else"));
        // Each request counted as two guesses. A sign-in resets the count.
        let other = app.sign_in(&session.email, NEW);
        // Another session than that of the change.
        wrong_password(&app.change_password(&other.access_token, PASSWORD, NEW));
    }
    assert_eq!(app.authenticate(&session.email, NEW).status, 200, "nothing has changed");
    session.assert_lives(&replicas);
}

/// With both fields, the session of the latest change makes two guesses with a request, so both count.
#[rstest]
fn a_repetition_is_no_free_guess(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[PROXY]);
    let session = app.new_session();
    assert_eq!(app.change_password(&session.access_token, PASSWORD, NEW).status, 200);
    let thief = unique_address();
    let headers = [("Authorization", session.access_token.as_str()), ("X-Forwarded-For", &thief)];
    let guess = || {
        let body = json!({"current_password": "a guess", "new_password": "another guess"}).to_string();
        app.send("PUT", "/user/password", &headers, Some(&body))
    };
    let (requests, _) = guess_until_throttled(guess);
    assert!((2..=4).contains(&requests), "{requests} requests, and five guesses start the first wait");
    // The account knows the address of the sign-up, and repetitions from there leave no failure behind.
    for _ in 0..7 {
        assert_eq!(app.change_password(&session.access_token, PASSWORD, NEW).status, 200);
    }
}

#[rstest]
fn a_wrong_password_deletes_nothing(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[]);
    let app = &replicas[0];
    let session = app.new_session();
    wrong_password(&app.delete_user(&session.access_token, NEW));
    let delete = |body: &Value| app.send_as(&session.access_token, "DELETE", "/user", Some(body));
    for body in [json!({}), json!({"password": ""}), json!({"password": true}), json!({"email": session.email})] {
        delete(&body).assert_invalid(&["password"]);
    }
    app.send("DELETE", "/user", &[("Authorization", &session.access_token)], None).assert_error(400, "invalid_json");
    session.assert_lives(&replicas);
    app.session_of(&session.email);
}

#[rstest]
fn a_deleted_account_is_gone_with_its_tokens_everywhere(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[]);
    let bystander = replicas[0].new_session();
    let email = unique_email();
    let mut buried = Vec::new();
    let mut ids = Vec::new();
    for app in replicas.iter().cycle().take(3) {
        // The email of a deleted account is free again.
        assert_eq!(app.sign_up(&email, PASSWORD).status, 201);
        let sessions: Vec<_> = replicas.iter().map(|app| app.session_of(&email)).collect();
        ids.push(app.current_user(&sessions[0].access_token).json()["data"]["id"].clone());
        for dead in &buried {
            Session::assert_dead(dead, &replicas);
        }
        app.delete_user(&sessions[0].access_token, PASSWORD).assert(200, &json!({"result": "Account deleted"}));
        buried.extend(sessions);
        for dead in &buried {
            dead.assert_dead(&replicas);
        }
        for app in &replicas {
            app.authenticate(&email, PASSWORD).assert_error(401, "invalid_credentials");
        }
    }
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    bystander.assert_lives(&replicas);
}

#[rstest]
fn account_routes_need_a_live_access_token(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let ended = app.session_of(&session.email);
    assert_eq!(app.send_as(&ended.access_token, "POST", "/signout", None).status, 200);
    let change = json!({"current_password": PASSWORD, "new_password": NEW});
    for (method, path, body) in [("PUT", "/user/password", change), ("DELETE", "/user", json!({"password": PASSWORD}))]
    {
        let missing = app.send_json(method, path, &body);
        missing.assert_error(401, "token_missing");
        assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
        for token in [&ended.access_token, &session.refresh_token] {
            let dead = app.send_as(token, method, path, Some(&body));
            dead.assert_error(401, "invalid_token");
            assert_eq!(dead.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
        }
    }
    app.session_of(&session.email);
    session.assert_lives(&[app]);
}

#[rstest]
fn fifty_concurrent_signups_of_one_email_make_one_account(#[values(Redis, Embedded)] store: Store) {
    // On a busy machine, fifty hashes take longer than the usual deadline of a request.
    let app = TestApp::start_with(store, &[("REQUEST_TIMEOUT_SECONDS", "30")]);
    let email = unique_email();
    let mut statuses = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..50).map(|_| scope.spawn(|| app.sign_up(&email, PASSWORD).status)).collect();
        tries.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
    });
    statuses.sort_unstable();
    let expected: Vec<u16> = std::iter::once(201).chain([409; 49]).collect();
    assert_eq!(statuses, expected);
}
