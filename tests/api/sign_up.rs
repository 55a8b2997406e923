//! POST /signup

use serde_json::json;

use crate::{
    app::{PASSWORD, TestApp, unique_email},
    runner::Store,
    suite,
};

suite! {
    every_store: [
        signup_creates_an_account_that_signs_in,
        signup_with_taken_email_is_409_in_any_case_and_keeps_the_account,
        signup_names_all_invalid_fields_at_once,
        signup_counts_code_points_and_caps_bytes,
    ]
    with_settings: [fifty_concurrent_signups_of_one_email_make_one_account]
    plain: [password_min_length_is_a_setting]
}

fn signup_creates_an_account_that_signs_in(store: Store) {
    let app = TestApp::start(store);
    let email = unique_email();
    app.sign_up(&email, PASSWORD).assert(201, &json!({"result": "Account successfully created"}));
    assert_eq!(app.authenticate(&email, PASSWORD).status, 200);
}

fn signup_with_taken_email_is_409_in_any_case_and_keeps_the_account(store: Store) {
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
    assert_eq!(body["data"]["email"], email.as_str(), "the spelling it was created with");
}

fn signup_names_all_invalid_fields_at_once(store: Store) {
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

fn signup_counts_code_points_and_caps_bytes(store: Store) {
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

fn fifty_concurrent_signups_of_one_email_make_one_account(store: Store) {
    // All of them hash at once: on a busy machine that may take longer than a request usually has.
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

fn password_min_length_is_a_setting() {
    let app = TestApp::start_with(Store::Embedded, &[("PASSWORD_MIN_LENGTH", "15")]);
    let answer = app.sign_up(&unique_email(), "fourteen chars");
    answer.assert_invalid(&["password"]);
    assert_eq!(answer.json()["fields"][0]["message"], "must have at least 15 characters");
    assert_eq!(app.sign_up(&unique_email(), "fifteen chars !").status, 201);
}
