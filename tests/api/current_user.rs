//! GET /user

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use uuid::Uuid;

use crate::{
    app::{TestApp, unique_email},
    redis_server::wait_until,
    runner::Store,
    suite,
};

suite! {
    every_store: [
        profile_has_the_email_a_uuid_and_an_rfc_3339_time,
        access_token_is_taken_bare_and_after_bearer_in_any_case,
        profile_without_body_is_the_token_owners,
        profile_takes_the_owners_email_in_any_case,
        somebody_elses_email_is_404_like_an_unknown_one,
        profile_body_that_is_there_must_be_complete,
        profile_without_token_is_401_with_a_bare_challenge,
        two_access_tokens_are_400,
        profile_has_no_other_method,
    ]
    with_settings: [
        expired_access_token_is_401_token_expired,
        access_token_whose_entry_lives_is_good_for_five_more_seconds,
    ]
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn profile_has_the_email_a_uuid_and_an_rfc_3339_time(store: Store) {
    let before = unix_now();
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
    assert_eq!(Uuid::parse_str(id).unwrap().to_string(), id, "in the usual form");
    assert_eq!((created_at.len(), &created_at[19..]), ("2026-01-01T00:00:00Z".len(), "Z"), "{created_at}");
    let created = humantime::parse_rfc3339(created_at).unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((before..=unix_now()).contains(&created), "{created_at}");
    let again = app.session_of(&session.email);
    assert_eq!(app.current_user(&again.access_token).json()["data"], data, "the same at each sign-in");
    let other = app.new_session();
    assert_ne!(app.current_user(&other.access_token).json()["data"]["id"], id);
}

fn access_token_is_taken_bare_and_after_bearer_in_any_case(store: Store) {
    let app = TestApp::start(store);
    let token = app.new_session().access_token;
    for scheme in ["", "Bearer ", "bearer ", "BEARER ", "bEaReR "] {
        let answer = app.send("GET", "/user", &[("Authorization", &format!("{scheme}{token}"))], None);
        assert_eq!(answer.status, 200, "{scheme:?} {answer:?}");
    }
    for scheme in ["Basic ", "Token ", "Bearer", "Bearer Bearer ", "Bearer:", "Bearer\t"] {
        let answer = app.send("GET", "/user", &[("Authorization", &format!("{scheme}{token}"))], None);
        answer.assert_error(401, "invalid_token");
    }
}

fn profile_without_body_is_the_token_owners(store: Store) {
    let app = TestApp::start(store);
    let (ada, bob) = (app.new_session(), app.new_session());
    for session in [&ada, &bob] {
        assert_eq!(app.current_user(&session.access_token).json()["data"]["email"], session.email.as_str());
        // Some clients send these for no body at all.
        let headers = [("Authorization", session.access_token.as_str()), ("Content-Length", "0")];
        assert_eq!(app.send("GET", "/user", &headers, None).status, 200);
    }
}

fn profile_takes_the_owners_email_in_any_case(store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let headers = [("Authorization", session.access_token.as_str())];
    for spelling in [session.email.clone(), session.email.to_uppercase()] {
        let body = json!({"email": spelling, "page": 1}).to_string();
        let answer = app.send("GET", "/user", &headers, Some(&body));
        assert_eq!(answer.json()["data"]["email"], session.email.as_str(), "as it was created: {answer:?}");
    }
}

fn somebody_elses_email_is_404_like_an_unknown_one(store: Store) {
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
    // The token comes first: without a good one nothing is told of any email.
    let body = json!({"email": ada.email}).to_string();
    app.send("GET", "/user", &[("Authorization", "x")], Some(&body)).assert_error(401, "invalid_token");
}

fn profile_body_that_is_there_must_be_complete(store: Store) {
    let app = TestApp::start(store);
    let token = app.new_session().access_token;
    let headers = [("Authorization", token.as_str())];
    for body in [r"{}", r#"{"email": 1}"#, r#"{"email": null}"#, r#"{"email": "nobody"}"#, r#"{"mail": "a@b.c"}"#] {
        app.send("GET", "/user", &headers, Some(body)).assert_invalid(&["email"]);
    }
    for body in ["[]", "null", "{", " ", r#"{"email": "a@b.c", "email": "a@b.c"}"#] {
        app.send("GET", "/user", &headers, Some(body)).assert_error(400, "invalid_json");
    }
    let bytes = crate::raw::request("GET", "/user", &headers, Some("{}"));
    crate::raw::exchange(app.port(), &bytes).unwrap().assert_error(415, "unsupported_media_type");
}

fn profile_without_token_is_401_with_a_bare_challenge(store: Store) {
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

fn two_access_tokens_are_400(store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let header = ("Authorization", session.access_token.as_str());
    app.send("GET", "/user", &[header, header], None).assert_error(400, "ambiguous_token");
    let body = json!({"email": session.email, "access_token": session.access_token}).to_string();
    app.send("GET", "/user", &[header], Some(&body)).assert_error(400, "ambiguous_token");
}

fn profile_has_no_other_method(store: Store) {
    let app = TestApp::start(store);
    let token = app.new_session().access_token;
    for method in ["POST", "PUT", "HEAD", "OPTIONS", "TRACE"] {
        let answer = app.send(method, "/user", &[("Authorization", &token)], None);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, DELETE")), "{method} {answer:?}");
    }
}

fn expired_access_token_is_401_token_expired(store: Store) {
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "1"), ("REFRESH_TOKEN_TTL_SECONDS", "60")];
    let app = TestApp::start_with(store, &settings);
    let session = app.new_session();
    wait_until("the access token ends", || app.current_user(&session.access_token).status == 401);
    // Its entry is gone, but it was not removed: the client is told to refresh, within the leeway and after it.
    let answer = app.current_user(&session.access_token);
    answer.assert_error(401, "token_expired");
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#));
    let ended = Instant::now();
    wait_until("the leeway has passed", || {
        app.current_user(&session.access_token).assert_error(401, "token_expired");
        ended.elapsed() > Duration::from_secs(6)
    });
    let refreshed = app.refresh_access_token(&session.refresh_token).json();
    assert_eq!(app.current_user(refreshed["access_token"].as_str().unwrap()).status, 200);
}

fn access_token_whose_entry_lives_is_good_for_five_more_seconds(store: Store) {
    const LIFE: u64 = 3;
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "3"), ("REFRESH_TOKEN_TTL_SECONDS", "60")];
    let app = TestApp::start_with(store, &settings);
    let signing_in = unix_now();
    let session = app.new_session();
    let signed_in = unix_now();
    let mut good_after_exp = false;
    let answer = loop {
        // Keeps the session's entry, and with it the first token's, alive.
        assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
        let asked = unix_now();
        let answer = app.current_user(&session.access_token);
        if answer.status != 200 {
            break answer;
        }
        good_after_exp |= asked > signed_in + LIFE;
        assert!(asked < signed_in + LIFE + 5, "still good after the leeway");
        std::thread::sleep(Duration::from_millis(50));
    };
    answer.assert_error(401, "token_expired");
    assert!(unix_now() >= signing_in + LIFE + 5, "ended before the leeway");
    assert!(good_after_exp, "there is no leeway");
}
