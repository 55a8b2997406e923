//! GET and POST /authenticate

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Answer, PASSWORD,
    Store::{self, Embedded, Redis},
    TestApp, unique_email,
};

fn names(body: &Value) -> Vec<&String> {
    body.as_object().unwrap().keys().collect()
}

#[rstest]
fn authenticate_answers_get_and_post_alike(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = app.new_session().email;
    for method in ["GET", "POST"] {
        let answer = app.send_json(method, "/authenticate", &json!({"email": email, "password": PASSWORD}));
        assert_eq!(answer.status, 200, "{method} {answer:?}");
        let body = answer.json();
        let expected = ["access_token", "expires_in", "refresh_expires_in", "refresh_token", "result", "token_type"];
        assert_eq!(names(&body), expected, "{method}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(app.current_user(body["access_token"].as_str().unwrap()).status, 200, "{method}");
        let wrong = app.send_json(method, "/authenticate", &json!({"email": email, "password": "not this one"}));
        wrong.assert_error(401, "invalid_credentials");
        app.send_json(method, "/authenticate", &json!({})).assert_invalid(&["email", "password"]);
        app.send(method, "/authenticate", &[], None).assert_error(400, "invalid_json");
    }
}

#[rstest]
fn each_sign_in_opens_a_session_of_its_own(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let first = app.new_session();
    let second = app.session_of(&first.email);
    assert_ne!(first.access_token, second.access_token);
    assert_ne!(first.refresh_token, second.refresh_token);
    for session in [&first, &second] {
        assert_eq!(app.current_user(&session.access_token).status, 200);
        assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
    }
    assert_eq!(app.current_user(&first.access_token).status, 200, "a refresh of one session leaves the other alone");
}

#[rstest]
fn authenticate_takes_the_email_in_any_case_and_with_white_space_around_it(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = app.new_session().email;
    let mixed = email.replace("user", "UsEr").replace("com", "COM");
    for spelling in [email.to_uppercase(), mixed, format!(" \t{email}"), format!("{email}\r\n")] {
        assert_eq!(app.authenticate(&spelling, PASSWORD).status, 200, "{spelling:?}");
    }
    for wrong in [format!("{email}."), format!("{email}\u{a0}"), format!("\0{email}")] {
        app.authenticate(&wrong, PASSWORD).assert_invalid(&["email"]);
    }
}

#[rstest]
fn unknown_email_and_wrong_password_are_answered_alike(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = app.new_session().email;
    let wrong = app.authenticate(&email, "not this one");
    let unknown = app.authenticate(&unique_email(), PASSWORD);
    let sentence = "Authentication failed - incorrect email or password";
    wrong.assert(401, &json!({"result": "Error occurred", "error": sentence, "code": "invalid_credentials"}));
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer"));
    assert_eq!((wrong.status, &wrong.body), (unknown.status, &unknown.body));
    let comparable = |answer: &Answer| {
        let own = ["x-request-id", "date"];
        answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str())).cloned().collect::<Vec<_>>()
    };
    assert_eq!(comparable(&wrong), comparable(&unknown));
}

#[rstest]
fn composed_and_decomposed_passwords_sign_in_alike(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (composed, decomposed) = ("caf\u{e9} \u{c5}ngstr\u{f6}m", "cafe\u{301} A\u{30a}ngstro\u{308}m");
    for (set, used) in [(composed, decomposed), (decomposed, composed)] {
        let email = unique_email();
        assert_eq!(app.sign_up(&email, set).status, 201);
        assert_eq!(app.authenticate(&email, used).status, 200);
        assert_eq!(app.authenticate(&email, set).status, 200);
        assert_eq!(app.authenticate(&email, "cafe Angstrom").status, 401, "accents are not dropped");
    }
    // NFC, not NFKC: a ligature differs from its letters.
    let email = unique_email();
    assert_eq!(app.sign_up(&email, "\u{fb01}shing").status, 201);
    assert_eq!(app.authenticate(&email, "fishing").status, 401);
}

#[rstest]
fn passwords_that_differ_in_one_late_byte_differ(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = unique_email();
    let long = "x".repeat(1_024);
    assert_eq!(app.sign_up(&email, &long).status, 201);
    for place in [8, 73, 1_000, 1_024] {
        let mut other = long.clone();
        other.replace_range(place - 1..place, "y");
        assert_eq!(app.authenticate(&email, &other).status, 401, "byte {place}");
    }
    assert_eq!(app.authenticate(&email, &long).status, 200);
    assert_eq!(app.authenticate(&email, &long[..1_023]).status, 401);
}

#[rstest]
fn passwords_no_account_can_have_are_400_and_short_ones_401(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = app.new_session().email;
    let empty = app.authenticate(&email, "");
    empty.assert_invalid(&["password"]);
    assert_eq!(empty.json()["fields"][0]["message"], "must not be empty");
    let long = app.authenticate(&email, &"x".repeat(1_025));
    long.assert_invalid(&["password"]);
    assert_eq!(long.json()["fields"][0]["message"], "must not have more than 1024 bytes");
    // The minimum length applies only to new accounts: an account may be older than the setting.
    app.authenticate(&email, "short").assert_error(401, "invalid_credentials");
}

#[rstest]
fn authenticate_names_all_invalid_fields_at_once_and_repeats_nothing(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let sign_in = |body: Value| app.send_json("GET", "/authenticate", &body);
    sign_in(json!({})).assert_invalid(&["email", "password"]);
    sign_in(json!({"email": "planted-text", "password": ""})).assert_invalid(&["email", "password"]);
    sign_in(json!({"email": ["planted-text"], "password": {"planted-text": 1}})).assert_invalid(&["email", "password"]);
    sign_in(json!({"email": null, "password": 4_711_471_147_114_711_u64})).assert_invalid(&["email", "password"]);
    sign_in(json!({"Email": "a@b.example", "PASSWORD": PASSWORD})).assert_invalid(&["email", "password"]);
    for body in [
        r#"["planted-text@example.com", "planted-text"]"#,
        r#""planted-text""#,
        r#"{"email": "planted-text@example.com", "password": "planted-text"#,
        r#"{"email": "planted-text@example.com", "email": "a@b.example", "password": "planted-text"}"#,
        r#"{"email": "planted-text@example.com", "password": "planted-text"} planted-text"#,
        "4711471147114711",
        "",
    ] {
        let answer = app.send("POST", "/authenticate", &[], Some(body));
        answer.assert_error(400, "invalid_json");
        assert!(!answer.body.contains("planted-text") && !answer.body.contains("47114711"), "{answer:?}");
    }
    for body in [json!({"email": "planted-text", "password": 47_114_711}), json!({"email": 47_114_711})] {
        let answer = sign_in(body);
        assert_eq!(answer.status, 400);
        assert!(!answer.body.contains("planted-text") && !answer.body.contains("47114711"), "{answer:?}");
    }
}

#[rstest]
fn authenticate_ignores_unknown_fields(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = app.new_session().email;
    let body = json!({
        "email": email, "password": PASSWORD, "role": "admin", "expires_in": 9_999, "deep": [{"a": {}}],
    });
    let answer = app.send_json("POST", "/authenticate", &body);
    assert_eq!((answer.status, &answer.json()["expires_in"]), (200, &json!(60)), "{answer:?}");
}
