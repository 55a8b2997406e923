//! The status and the code or result of each answer during the life of a session.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Answer, PASSWORD, Session,
    Store::{self, Embedded, Redis},
    TestApp, unique_email,
};

#[rstest]
fn the_life_of_a_session_is_the_same_on_every_store(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let outcome = |answer: &Answer| {
        let body = answer.json();
        (answer.status, body["code"].as_str().or(body["result"].as_str()).unwrap().to_owned())
    };
    let Session { email, access_token, refresh_token } = app.new_session();
    let stranger = unique_email();
    let with_email = |email: &str| {
        let authorization = [("Authorization", access_token.as_str())];
        app.send("GET", "/user", &authorization, Some(&json!({"email": email}).to_string()))
    };
    let refresh = |token: &Value| app.send_json("POST", "/refresh-access-token", &json!({"refresh_token": token}));
    let outcomes = [
        app.sign_up(&email, PASSWORD),
        app.authenticate(&email, "wrong"),
        app.authenticate(&stranger, PASSWORD),
        app.current_user(&access_token),
        with_email(&email),
        with_email(&stranger),
        app.current_user(&refresh_token),
        refresh(&json!(refresh_token)),
        refresh(&json!(access_token)),
        app.remove_access_token(&stranger),
        app.remove_access_token(&email),
        app.remove_access_token(&email),
        app.current_user(&access_token),
        refresh(&json!(refresh_token)),
        app.authenticate(&email, PASSWORD),
        app.send("GET", "/readyz", &[], None),
    ]
    .map(|answer| outcome(&answer));
    let expected = [
        (409, "email_taken"),
        (401, "invalid_credentials"),
        (401, "invalid_credentials"),
        (200, "User profile fetched successfully"),
        (200, "User profile fetched successfully"),
        (404, "user_not_found"),
        (401, "invalid_token"),
        (200, "Access token refreshed successfully"),
        (401, "invalid_token"),
        (404, "token_not_found"),
        (200, "Access token removed"),
        (404, "token_not_found"),
        (401, "invalid_token"),
        (404, "token_not_found"),
        (200, "Authentication successful"),
        (200, "Ready"),
    ];
    assert_eq!(outcomes, expected.map(|(status, text)| (status, text.to_owned())));
}
