//! GET /user

use std::time::UNIX_EPOCH;

use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use crate::support::{
    Store::{self, Embedded, Redis},
    TestApp, unique_email, unix_seconds,
};

#[rstest]
fn profile_has_the_email_a_uuid_and_an_rfc_3339_time(#[values(Redis, Embedded)] store: Store) {
    let before = unix_seconds();
    let app = TestApp::start(store);
    let session = app.new_session();
    let answer = app.current_user(&session.access_token);
    let data = answer.json()["data"].clone();
    let (id, created_at) = (data["id"].as_str().unwrap(), data["created_at"].as_str().unwrap());
    answer.assert(
        200,
        &json!({
            "data": {"email": session.email, "id": id, "created_at": created_at},
            "result": "User profile fetched successfully", "status": 200,
        }),
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(Uuid::parse_str(id).unwrap().to_string(), id, "the canonical form");
    assert_eq!((created_at.len(), &created_at[19..]), ("2026-01-01T00:00:00Z".len(), "Z"), "{created_at}");
    let created = humantime::parse_rfc3339(created_at).unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((before..=unix_seconds()).contains(&created), "{created_at}");
    let again = app.session_of(&session.email);
    assert_eq!(app.current_user(&again.access_token).json()["data"], data, "the same in each session");
    let other = app.new_session();
    assert_ne!(app.current_user(&other.access_token).json()["data"]["id"], id);
}

#[rstest]
fn access_token_is_taken_bare_and_after_bearer_in_any_case(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let token = app.new_session().access_token;
    for scheme in ["", "Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer\t"] {
        let answer = app.send("GET", "/user", &[("Authorization", &format!("{scheme}{token}"))], None);
        assert_eq!(answer.status, 200, "{scheme:?} {answer:?}");
    }
    for scheme in ["Bearer", "Bearer Bearer ", "Bearer:"] {
        let answer = app.send("GET", "/user", &[("Authorization", &format!("{scheme}{token}"))], None);
        answer.assert_error(401, "invalid_token");
    }
}

#[rstest]
fn profile_without_body_is_the_token_owners(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (ada, bob) = (app.new_session(), app.new_session());
    for session in [&ada, &bob] {
        assert_eq!(app.current_user(&session.access_token).json()["data"]["email"], session.email.as_str());
        // Some clients announce an empty body.
        let headers = [("Authorization", session.access_token.as_str()), ("Content-Length", "0")];
        assert_eq!(app.send("GET", "/user", &headers, None).status, 200);
    }
}

#[rstest]
fn profile_takes_the_owners_email_in_any_case(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let headers = [("Authorization", session.access_token.as_str())];
    for spelling in [session.email.clone(), session.email.to_uppercase()] {
        let body = json!({"email": spelling, "page": 1}).to_string();
        let answer = app.send("GET", "/user", &headers, Some(&body));
        assert_eq!(answer.json()["data"]["email"], session.email.as_str(), "spelt as in the sign-up: {answer:?}");
    }
}

#[rstest]
fn somebody_elses_email_is_404_like_an_unknown_one(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (ada, bob) = (app.new_session(), app.new_session());
    let of = |email: &str| {
        let headers = [("Authorization", ada.access_token.as_str())];
        app.send("GET", "/user", &headers, Some(&json!({"email": email}).to_string()))
    };
    for email in [bob.email, unique_email()] {
        of(&email)
            .assert(404, &json!({"result": "Error occurred", "error": "User not found", "code": "user_not_found"}));
    }
    // Without a valid token, the answer must say nothing about any email.
    let body = json!({"email": ada.email}).to_string();
    app.send("GET", "/user", &[("Authorization", "x")], Some(&body)).assert_error(401, "invalid_token");
}

#[rstest]
fn profile_body_must_be_complete(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let token = app.new_session().access_token;
    let headers = [("Authorization", token.as_str())];
    for body in [r"{}", r#"{"email": 1}"#, r#"{"email": null}"#, r#"{"email": "nobody"}"#, r#"{"mail": "a@b.c"}"#] {
        app.send("GET", "/user", &headers, Some(body)).assert_invalid(&["email"]);
    }
    for body in ["[]", "null", "{", " ", r#"{"email": "a@b.c", "email": "a@b.c"}"#] {
        app.send("GET", "/user", &headers, Some(body)).assert_error(400, "invalid_json");
    }
    let bytes = crate::support::raw::request("GET", "/user", &headers, Some("{}"));
    crate::support::raw::exchange(app.port(), &bytes).unwrap().assert_error(415, "unsupported_media_type");
}

#[rstest]
fn profile_without_token_is_401_with_a_bare_challenge(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = app.new_session().email;
    let body = json!({"email": email}).to_string();
    for (headers, body) in [
        (&[][..], None),
        (&[], Some(body.as_str())),
        (&[("Authorization", "")], None),
        (&[("Authorization", " ")], None),
    ] {
        let answer = app.send("GET", "/user", headers, body);
        answer.assert_error(401, "token_missing");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{answer:?}");
    }
}

#[rstest]
fn two_access_tokens_are_400(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let header = ("Authorization", session.access_token.as_str());
    app.send("GET", "/user", &[header, header], None).assert_error(400, "ambiguous_token");
    let body = json!({"email": session.email, "access_token": session.access_token}).to_string();
    app.send("GET", "/user", &[header], Some(&body)).assert_error(400, "ambiguous_token");
}

#[rstest]
fn profile_has_no_other_method(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let token = app.new_session().access_token;
    for method in ["POST", "PUT", "HEAD", "TRACE"] {
        let answer = app.send(method, "/user", &[("Authorization", &token)], None);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, DELETE")), "{method} {answer:?}");
    }
}
