//! REFRESH_TOKEN_ROTATION=on: a refresh spends the refresh token. Each spent token has exactly one successor.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Answer, SECRETS, Session,
    Store::{self, Embedded, Redis},
    TestApp, assert_accepted, claims, expired_access_token, number, replicas, text, time, unix_seconds, wait_until,
    wait_until_after,
};

const ON: (&str, &str) = ("REFRESH_TOKEN_ROTATION", "on");

/// Asserts that a refresh succeeds, and puts the new tokens into `session`.
fn rotate(app: &TestApp, session: &mut Session) -> Answer {
    let answer = app.refresh_access_token(&session.refresh_token);
    assert_eq!(answer.status, 200, "{answer:?}");
    session.access_token = text(&answer, "access_token");
    session.refresh_token = text(&answer, "refresh_token");
    answer
}

fn fields(answer: &Answer) -> Vec<String> {
    answer.json().as_object().unwrap().keys().cloned().collect()
}

fn assert_reused(answer: &Answer) {
    answer.assert_error(401, "token_reused");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
}

#[rstest]
fn a_refresh_gives_a_new_refresh_token_that_works_at_every_replica(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[ON]);
    let mut session = replicas[0].new_session();
    let (sid, mut seen) = (session.id(), BTreeSet::from([session.refresh_token.clone()]));
    let mut access_tokens = vec![session.access_token.clone()];
    for n in 0..9 {
        let before = unix_seconds();
        let answer = rotate(&replicas[n % replicas.len()], &mut session);
        let names = ["access_token", "expires_in", "refresh_expires_in", "refresh_token", "result", "token_type"];
        assert_eq!(fields(&answer), names);
        assert_eq!(text(&answer, "result"), "Access token refreshed successfully");
        assert_eq!((text(&answer, "token_type").as_str(), number(&answer, "expires_in")), ("Bearer", 60));
        assert!(seen.insert(session.refresh_token.clone()), "the server issued a refresh token twice");
        assert_eq!(session.id(), sid);
        let (issued, expires) = (time(&session.refresh_token, "iat"), time(&session.refresh_token, "exp"));
        // The clock of the store may be slightly behind the clock of this machine.
        assert!((before - 1..=unix_seconds()).contains(&issued) && expires == issued + 120, "{issued} {expires}");
        assert!((119..=121).contains(&number(&answer, "refresh_expires_in")), "{answer:?}");
        access_tokens.push(session.access_token.clone());
        // Older access tokens stay valid until they expire.
        for app in &replicas {
            for token in &access_tokens {
                assert_accepted(app, token, &session.email);
            }
        }
    }
}

#[rstest]
fn without_rotation_the_answer_has_no_refresh_token_and_the_old_one_works(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[]);
    let session = replicas[0].new_session();
    for app in replicas.iter().chain(&replicas) {
        let answer = app.refresh_access_token(&session.refresh_token);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(fields(&answer), ["access_token", "expires_in", "result", "token_type"]);
    }
}

#[rstest]
fn within_the_grace_a_spent_token_gives_the_same_successor_everywhere(#[values(Redis, Embedded)] store: Store) {
    // Long enough for a busy machine.
    let replicas = replicas(store, &[ON, ("REFRESH_GRACE_SECONDS", "60")]);
    let mut session = replicas[0].new_session();
    for app in &replicas {
        let spent = session.refresh_token.clone();
        rotate(app, &mut session);
        // If the server issued the successor again in a later second, the token would differ.
        wait_until_after(time(&session.refresh_token, "iat"));
        for app in &replicas {
            let again = app.refresh_access_token(&spent);
            assert_eq!(again.status, 200, "{again:?}");
            assert_eq!(text(&again, "refresh_token"), session.refresh_token);
            let life = number(&again, "refresh_expires_in");
            assert!(life < 120 && unix_seconds() + life + 1 >= time(&session.refresh_token, "exp"), "{again:?}");
            assert_accepted(app, &text(&again, "access_token"), &session.email);
        }
    }
    for app in &replicas {
        rotate(app, &mut session);
    }
}

#[rstest]
fn fifty_concurrent_refreshes_of_one_token_make_one_successor(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[ON]);
    let mut session = replicas[0].new_session();
    for _ in 0..3 {
        let spent = &session.refresh_token;
        let answers = std::thread::scope(|scope| {
            let refreshes = (0..50).map(|n| {
                let app = &replicas[n % replicas.len()];
                scope.spawn(move || app.refresh_access_token(spent))
            });
            refreshes.collect::<Vec<_>>().into_iter().map(|r| r.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        let successors: BTreeSet<_> = answers.iter().map(|answer| text(answer, "refresh_token")).collect();
        assert_eq!(successors.len(), 1, "{successors:?}");
        for answer in &answers {
            assert_accepted(&replicas[0], &text(answer, "access_token"), &session.email);
        }
        session.refresh_token = successors.into_iter().next().unwrap();
    }
    rotate(&replicas[0], &mut session);
}

#[rstest]
fn after_the_grace_a_spent_token_gives_its_successor_until_that_is_used(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[ON, ("REFRESH_GRACE_SECONDS", "1"), SECRETS[0], SECRETS[1]]);
    for app in &replicas {
        let mut session = app.new_session();
        let first = session.clone();
        rotate(app, &mut session);
        wait_until_after(time(&session.refresh_token, "iat") + 1);
        // The client may have lost the answer to the first refresh.
        for app in &replicas {
            let again = app.refresh_access_token(&first.refresh_token);
            assert_eq!(again.status, 200, "{again:?}");
            assert_eq!(text(&again, "refresh_token"), session.refresh_token);
        }
        // A renewal uses the successor, and does not spend it.
        let expired = expired_access_token(&session);
        let headers = [("Authorization", expired.as_str()), ("Refresh-Token", &session.refresh_token)];
        assert_eq!(app.send("GET", "/user", &headers, None).status, 200);
        assert_reused(&app.refresh_access_token(&first.refresh_token));
        session.assert_dead(&replicas);
    }
}

#[rstest]
fn within_the_grace_a_spent_token_gives_its_successor_even_if_that_was_used(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[ON, ("REFRESH_GRACE_SECONDS", "60"), SECRETS[0], SECRETS[1]]);
    let mut session = app.new_session();
    let first = session.clone();
    rotate(&app, &mut session);
    let expired = expired_access_token(&session);
    let headers = [("Authorization", expired.as_str()), ("Refresh-Token", &session.refresh_token)];
    assert_eq!(app.send("GET", "/user", &headers, None).status, 200);
    let again = app.refresh_access_token(&first.refresh_token);
    assert_eq!(text(&again, "refresh_token"), session.refresh_token);
}

#[rstest]
fn a_spent_token_ends_the_session_however_it_is_sent(
    #[values(Redis, Embedded)] store: Store,
    #[values("refresh", "renewal", "signout by header", "signout by body")] way: &str,
) {
    let replicas = replicas(store, &[ON, SECRETS[0], SECRETS[1]]);
    for app in &replicas {
        let mut session = app.new_session();
        let mut other = app.session_of(&session.email);
        let first = session.clone();
        rotate(app, &mut session);
        rotate(app, &mut session);
        let (expired, spent) = (expired_access_token(&first), first.refresh_token.as_str());
        match way {
            "refresh" => assert_reused(&app.refresh_access_token(spent)),
            "renewal" => {
                let headers = [("Authorization", expired.as_str()), ("Refresh-Token", spent)];
                assert_reused(&app.send("GET", "/user", &headers, None));
            }
            "signout by header" => {
                assert_eq!(app.send("POST", "/signout", &[("Refresh-Token", spent)], None).status, 200);
            }
            _ => assert_eq!(app.send_json("POST", "/signout", &json!({"refresh_token": spent})).status, 200),
        }
        for ended in [&first, &session] {
            ended.assert_dead(&replicas);
        }
        assert_eq!(app.session_ids(&other.access_token), [other.id()]);
        rotate(app, &mut other);
        let (user_id, session_id) = (claims(&first.access_token)["sub"].clone(), first.id());
        let reported = |line: &Value| {
            line["target"] == "audit"
                && line["event"] == "token_reused"
                && line["user_id"] == user_id
                && line["session_id"] == session_id.as_str()
                && line["address"] == "127.0.0.1"
                && line["request_id"].is_string()
        };
        wait_until("the reuse is logged", || app.log().iter().filter(|line| reported(line)).count() == 1);
    }
}

#[rstest]
fn an_older_generation_within_the_grace_ends_the_session(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[ON, ("REFRESH_GRACE_SECONDS", "60")]);
    for app in &replicas {
        let mut session = app.new_session();
        let mut other = app.session_of(&session.email);
        let first = session.clone();
        rotate(&replicas[0], &mut session);
        let second = session.clone();
        rotate(app, &mut session);
        assert_reused(&app.refresh_access_token(&first.refresh_token));
        for ended in [&first, &second, &session] {
            ended.assert_dead(&replicas);
        }
        rotate(app, &mut other);
    }
}

#[rstest]
fn reuse_of_the_only_session_leaves_no_tokens_to_remove(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[ON]);
    let mut session = app.new_session();
    let first = session.clone();
    rotate(&app, &mut session);
    rotate(&app, &mut session);
    assert_reused(&app.refresh_access_token(&first.refresh_token));
    app.remove_access_token(&session.email).assert_error(404, "token_not_found");
}
