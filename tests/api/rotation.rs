//! REFRESH_TOKEN_ROTATION=on: a refresh spends its token, the same successor for all; and the longest life of a session.

use std::collections::BTreeSet;

use auth_service::clock::unix_seconds;
use serde_json::Value;

use crate::{
    app::{Session, TestApp},
    raw::Answer,
    redis_server::wait_until,
    runner::Store,
    session::{assert_accepted, claims, number, replicas, text, time, wait_until_after},
    suite,
};

suite! {
    every_store: [
        a_refresh_gives_a_new_refresh_token_that_goes_on_at_every_replica,
        without_rotation_the_answer_has_no_refresh_token_and_the_old_one_goes_on,
        within_the_grace_a_spent_token_gives_the_same_successor_everywhere,
        fifty_concurrent_refreshes_of_one_token_make_one_successor,
        a_replay_after_the_grace_ends_the_session_and_is_logged,
        an_older_generation_within_the_grace_ends_the_session,
        reuse_of_the_only_session_leaves_no_tokens_to_remove,
        rotation_never_outlives_the_longest_life_of_a_session,
        refreshes_never_outlive_the_longest_life_of_a_session,
    ]
}

const ON: (&str, &str) = ("REFRESH_TOKEN_ROTATION", "on");

/// A refresh that must succeed; `session` goes on with its tokens.
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

fn a_refresh_gives_a_new_refresh_token_that_goes_on_at_every_replica(store: Store) {
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
        assert!(seen.insert(session.refresh_token.clone()), "a refresh token came twice");
        assert_eq!(session.id(), sid);
        let (issued, expires) = (time(&session.refresh_token, "iat"), time(&session.refresh_token, "exp"));
        assert!((before..=unix_seconds()).contains(&issued) && expires == issued + 120, "{issued} {expires}");
        assert!((119..=121).contains(&number(&answer, "refresh_expires_in")), "{answer:?}");
        access_tokens.push(session.access_token.clone());
        // Refreshing leaves older access tokens to their own expiry.
        for app in &replicas {
            for token in &access_tokens {
                assert_accepted(app, token, &session.email);
            }
        }
    }
}

fn without_rotation_the_answer_has_no_refresh_token_and_the_old_one_goes_on(store: Store) {
    let replicas = replicas(store, &[]);
    let session = replicas[0].new_session();
    for app in replicas.iter().chain(&replicas) {
        let answer = app.refresh_access_token(&session.refresh_token);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(fields(&answer), ["access_token", "expires_in", "result", "token_type"]);
    }
}

fn within_the_grace_a_spent_token_gives_the_same_successor_everywhere(store: Store) {
    // Long, so that a machine that is busy does not end it.
    let replicas = replicas(store, &[ON, ("REFRESH_GRACE_SECONDS", "60")]);
    let mut session = replicas[0].new_session();
    for app in &replicas {
        let spent = session.refresh_token.clone();
        rotate(app, &mut session);
        // In another second a successor that was signed anew, not again, would differ.
        wait_until_after(time(&session.refresh_token, "iat"));
        for app in &replicas {
            let again = app.refresh_access_token(&spent);
            assert_eq!(again.status, 200, "{again:?}");
            assert_eq!(text(&again, "refresh_token"), session.refresh_token);
            let life = number(&again, "refresh_expires_in");
            assert!(life < 120 && unix_seconds() + life >= time(&session.refresh_token, "exp"), "{again:?}");
            assert_accepted(app, &text(&again, "access_token"), &session.email);
        }
    }
    for app in &replicas {
        rotate(app, &mut session);
    }
}

fn fifty_concurrent_refreshes_of_one_token_make_one_successor(store: Store) {
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

fn assert_ended(replicas: &[TestApp], tokens: &[&Session]) {
    for session in tokens {
        session.assert_dead(replicas);
    }
}

/// The tokens that a session had at some time.
fn copy(session: &Session) -> Session {
    Session {
        email: session.email.clone(),
        access_token: session.access_token.clone(),
        refresh_token: session.refresh_token.clone(),
    }
}

fn a_replay_after_the_grace_ends_the_session_and_is_logged(store: Store) {
    let replicas = replicas(store, &[ON, ("REFRESH_GRACE_SECONDS", "1")]);
    for app in &replicas {
        let mut session = app.new_session();
        let mut other = app.session_of(&session.email);
        let first = copy(&session);
        rotate(app, &mut session);
        wait_until_after(time(&session.refresh_token, "iat") + 1);
        assert_reused(&app.refresh_access_token(&first.refresh_token));
        assert_ended(&replicas, &[&first, &session]);
        assert_eq!(app.session_ids(&other.access_token), [other.id()]);
        rotate(app, &mut other);
        let (user_id, session_id) = (claims(&first.access_token)["sub"].clone(), first.id());
        let told = |line: &Value| {
            line["target"] == "audit"
                && line["event"] == "token_reused"
                && line["user_id"] == user_id
                && line["session_id"] == session_id.as_str()
                && line["address"] == "127.0.0.1"
                && line["request_id"].is_string()
        };
        wait_until("the reuse is logged", || app.log().iter().filter(|line| told(line)).count() == 1);
    }
}

fn an_older_generation_within_the_grace_ends_the_session(store: Store) {
    let replicas = replicas(store, &[ON, ("REFRESH_GRACE_SECONDS", "60")]);
    for app in &replicas {
        let mut session = app.new_session();
        let mut other = app.session_of(&session.email);
        let first = copy(&session);
        rotate(&replicas[0], &mut session);
        let second = copy(&session);
        rotate(app, &mut session);
        assert_reused(&app.refresh_access_token(&first.refresh_token));
        assert_ended(&replicas, &[&first, &second, &session]);
        rotate(app, &mut other);
    }
}

fn reuse_of_the_only_session_leaves_no_tokens_to_remove(store: Store) {
    let app = TestApp::start_with(store, &[ON]);
    let mut session = app.new_session();
    let first = copy(&session);
    rotate(&app, &mut session);
    rotate(&app, &mut session);
    assert_reused(&app.refresh_access_token(&first.refresh_token));
    app.remove_access_token(&session.email).assert_error(404, "token_not_found");
}

fn rotation_never_outlives_the_longest_life_of_a_session(store: Store) {
    outlive(store, &[ON, ("SESSION_MAX_AGE_SECONDS", "3")]);
}

fn refreshes_never_outlive_the_longest_life_of_a_session(store: Store) {
    outlive(store, &[("SESSION_MAX_AGE_SECONDS", "3")]);
}

/// Refreshes for as long as it goes.
fn outlive(store: Store, settings: &[(&str, &str)]) {
    let replicas = replicas(store, settings);
    let email = replicas[0].new_session().email;
    // Not at once after the sign-up: each sign-in has an age of its own.
    let answer = replicas[0].authenticate(&email, crate::app::PASSWORD);
    assert_eq!((number(&answer, "expires_in"), number(&answer, "refresh_expires_in")), (3, 3), "{answer:?}");
    let mut session =
        Session { email, access_token: text(&answer, "access_token"), refresh_token: text(&answer, "refresh_token") };
    let created = replicas[0].sessions(&session.access_token).remove(0)["created_at"].as_str().unwrap().to_owned();
    let created = humantime::parse_rfc3339(&created).unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let end = created + 3;
    for token in [&session.access_token, &session.refresh_token] {
        assert!(time(token, "exp") <= end, "{} > {end}", time(token, "exp"));
    }
    let mut refreshed = 0;
    let refused = loop {
        let (app, before) = (&replicas[refreshed % replicas.len()], unix_seconds());
        let answer = app.refresh_access_token(&session.refresh_token);
        if answer.status != 200 {
            break answer;
        }
        assert!(before < end, "refreshed after the session's end");
        refreshed += 1;
        session.access_token = text(&answer, "access_token");
        let issued = time(&session.access_token, "iat");
        assert_eq!(time(&session.access_token, "exp"), issued + number(&answer, "expires_in"));
        assert!(issued >= before && issued + number(&answer, "expires_in") <= end, "{answer:?}");
        if settings.contains(&ON) {
            session.refresh_token = text(&answer, "refresh_token");
            assert!(time(&session.refresh_token, "exp") <= end);
            assert!(issued + number(&answer, "refresh_expires_in") <= end, "{answer:?}");
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert!(refreshed > 0 && unix_seconds() >= end, "it ended before its time: {refused:?}");
    refused.assert_error(401, "token_expired");
    // The entry may outlive the second in which the session ended, and no longer.
    wait_until_after(end);
    for app in &replicas {
        app.current_user(&session.access_token).assert_error(401, "token_expired");
        app.refresh_access_token(&session.refresh_token).assert_error(401, "token_expired");
    }
}
