//! POST /signup

use rstest::rstest;
use serde_json::json;

use crate::support::{
    PASSWORD,
    Store::{self, Embedded, Redis},
    TestApp, unique_email,
};

#[rstest]
fn signup_creates_an_account_that_signs_in(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = unique_email();
    app.sign_up(&email, PASSWORD).assert(201, &json!({"result": "Account successfully created"}));
    assert_eq!(app.authenticate(&email, PASSWORD).status, 200);
}

#[rstest]
fn signup_with_taken_email_is_409_in_any_case_and_keeps_the_account(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = unique_email();
    assert_eq!(app.sign_up(&email, PASSWORD).status, 201);
    for spelling in [email.clone(), email.to_uppercase()] {
        let answer = app.sign_up(&spelling, "another password");
        answer.assert_error(409, "email_taken");
        assert_eq!(answer.json()["error"], "Duplicate record exists with the same email id");
    }
    assert_eq!(app.authenticate(&email, "another password").status, 401);
    let body = app.current_user(&app.session_of(&email.to_uppercase()).access_token).json();
    assert_eq!(body["data"]["email"], email.as_str(), "the spelling of the sign-up");
}

#[rstest]
fn signup_names_all_invalid_fields_at_once(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let sign_up = |body| app.send_json("POST", "/signup", &body);
    sign_up(json!({})).assert_invalid(&["email", "password"]);
    sign_up(json!({"email": "nobody", "password": "12345"})).assert_invalid(&["email", "password"]);
    sign_up(json!({"email": unique_email(), "password": ""})).assert_invalid(&["password"]);
    sign_up(json!({"email": 1, "password": null})).assert_invalid(&["email", "password"]);
    let answer = sign_up(json!({"email": unique_email(), "password": "12345"}));
    answer.assert_invalid(&["password"]);
    assert_eq!(answer.json()["fields"][0]["message"], "must have at least 6 characters");
}

#[rstest]
fn signup_counts_code_points_and_caps_bytes(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    for good in ["six $ x", "      ", "🗝🗝🗝🗝🗝🗝", &"x".repeat(1024)] {
        let email = unique_email();
        assert_eq!(app.sign_up(&email, good).status, 201, "{good}");
        assert_eq!(app.authenticate(&email, good).status, 200, "{good}");
    }
    for bad in ["🗝🗝🗝🗝🗝", &"x".repeat(1025), &"é".repeat(513)] {
        app.sign_up(&unique_email(), bad).assert_invalid(&["password"]);
    }
}

#[rstest]
fn an_international_domain_is_the_same_account_as_its_ascii_form(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let local = unique_email().split('@').next().unwrap().to_owned();
    let unicode = format!("{local}@b\u{fc}cher.example");
    assert_eq!(app.sign_up(&unicode, PASSWORD).status, 201);
    for spelling in [format!("{local}@xn--bcher-kva.example"), format!("{local}@BU\u{308}CHER.example")] {
        app.sign_up(&spelling, PASSWORD).assert_error(409, "email_taken");
        let session = app.session_of(&spelling);
        assert_eq!(app.current_user(&session.access_token).json()["data"]["email"], unicode.as_str());
    }
}

#[rstest]
fn white_space_around_an_email_is_no_part_of_it(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = unique_email();
    assert_eq!(app.sign_up(&format!(" {email}\n"), PASSWORD).status, 201);
    app.sign_up(&email, PASSWORD).assert_error(409, "email_taken");
    assert_eq!(app.current_user(&app.session_of(&email).access_token).json()["data"]["email"], email.as_str());
}
