//! The requests of a client of the old service: GET with a JSON body, and a bare token in `Authorization`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Answer, PASSWORD,
    Store::{self, Embedded, Redis},
    TestApp, unique_email,
};

fn text(answer: &Answer, name: &str) -> String {
    answer.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer:?}")).to_owned()
}

#[rstest]
fn old_client_signs_up_signs_in_fetches_refreshes_and_removes(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = unique_email();
    let credentials = json!({"email": email, "password": PASSWORD}).to_string();
    let only_email = json!({"email": email}).to_string();

    let signed_up = app.send("POST", "/signup", &[], Some(&credentials));
    signed_up.assert(201, &json!({"result": "Account successfully created"}));

    let signed_in = app.send("GET", "/authenticate", &[], Some(&credentials));
    let (access_token, refresh_token) = (text(&signed_in, "access_token"), text(&signed_in, "refresh_token"));
    assert_ne!(access_token, refresh_token);
    signed_in.assert(
        200,
        &json!({
            "access_token": access_token, "refresh_token": refresh_token, "result": "Authentication successful",
            "token_type": "Bearer", "expires_in": 60, "refresh_expires_in": 120,
        }),
    );

    let user = |token: &str| app.send("GET", "/user", &[("Authorization", token)], Some(&only_email));
    let profile = user(&access_token);
    let data = profile.json()["data"].clone();
    let (id, created_at) = (data["id"].as_str().unwrap(), data["created_at"].as_str().unwrap());
    profile.assert(
        200,
        &json!({
            "data": {"email": email, "id": id, "created_at": created_at},
            "result": "User profile fetched successfully", "status": 200,
        }),
    );

    let with_refresh_token = json!({"refresh_token": refresh_token}).to_string();
    let refresh = || app.send("GET", "/refresh-access-token", &[], Some(&with_refresh_token));
    let refreshed = refresh();
    let new_access_token = text(&refreshed, "access_token");
    assert_ne!(new_access_token, access_token);
    refreshed.assert(
        200,
        &json!({
            "access_token": new_access_token, "result": "Access token refreshed successfully",
            "token_type": "Bearer", "expires_in": 60,
        }),
    );
    assert_eq!(user(&new_access_token).json()["data"], data);

    let remove = || app.send("DELETE", "/access-token", &[], Some(&only_email));
    remove().assert(200, &json!({"result": "Access token removed"}));
    for removed in [&access_token, &new_access_token] {
        let answer = user(removed);
        answer.assert_error(401, "invalid_token");
        assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#));
    }
    refresh().assert_error(404, "token_not_found");
    assert_knows(&remove(), 404, "token_not_found", "Access token not found");
}

#[rstest]
fn old_client_gets_the_errors_of_the_old_service(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let send = |method, path, body: Value| app.send(method, path, &[], Some(&body.to_string()));
    let taken = send("POST", "/signup", json!({"email": session.email, "password": PASSWORD}));
    assert_knows(&taken, 409, "email_taken", "Duplicate record exists with the same email id");
    let wrong = send("GET", "/authenticate", json!({"email": session.email, "password": "not this one"}));
    assert_knows(&wrong, 401, "invalid_credentials", "Authentication failed - incorrect email or password");
    let other = json!({"email": unique_email()}).to_string();
    let nobody = app.send("GET", "/user", &[("Authorization", &session.access_token)], Some(&other));
    assert_knows(&nobody, 404, "user_not_found", "User not found");
    let none = send("DELETE", "/access-token", json!({"email": unique_email()}));
    assert_knows(&none, 404, "token_not_found", "Access token not found");
}

/// Asserts the whole body of an error, with the sentence of the old service.
#[track_caller]
fn assert_knows(answer: &Answer, status: u16, code: &str, sentence: &str) {
    answer.assert(status, &json!({"result": "Error occurred", "error": sentence, "code": code}));
}
