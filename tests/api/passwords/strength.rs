//! The strength of new passwords, and the bounds of the settings of passwords and sessions.

use std::{collections::BTreeMap, fs};

use rstest::rstest;
use serde_json::json;

use crate::support::{
    Answer,
    Store::{self, Embedded, Redis},
    TestApp, command, refused_in, unique_email, wait_until,
};

#[rstest]
fn weak_passwords_are_refused_with_advice_when_a_score_is_set(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[("PASSWORD_MIN_SCORE", "3")]);
    let email = format!("wilhelmina-kowalczyk-{}", unique_email());
    let strong = "Tr0mbone-quagmire-82";
    let local = email.split('@').next().unwrap().to_owned();
    let assert_weak = |answer: &Answer, field: &str, password: &str| {
        answer.assert_invalid(&[field]);
        let message = answer.json()["fields"][0]["message"].as_str().unwrap().to_owned();
        let advice = message.strip_prefix("is too easy to guess. ").unwrap_or_else(|| panic!("{message}"));
        assert!(advice.ends_with('.') && advice.len() > 20, "{advice}");
        assert!(!answer.body.contains(password), "{answer:?}");
    };
    // Common passwords, the name of the service, and parts of the email.
    let weak = ["password123", "iloveyou2", "qwertyuiop", "auth-service", "Auth-Service1", &email, &local];
    for password in weak {
        assert_weak(&app.sign_up(&email, password), "password", password);
    }
    // For another user, the same text is not a weak password.
    assert_eq!(app.sign_up(&unique_email(), &local).status, 201);
    assert_eq!(app.sign_up(&email, strong).status, 201);
    let session = app.sign_in(&email, strong);
    for password in weak {
        let answer = app.change_password(&session.access_token, strong, password);
        assert_weak(&answer, "new_password", password);
    }
    // A wrong current password is reported first.
    app.change_password(&session.access_token, "wrong", "password123").assert_error(403, "wrong_password");
    let other = app.sign_in(&email, strong);
    assert_eq!(app.change_password(&session.access_token, strong, "Xylophone/marmot~17").status, 200);
    other.assert_dead([&app]);
    session.assert_lives([&app]);
}

#[rstest]
fn by_default_any_password_that_is_long_enough_will_do(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = unique_email();
    assert_eq!(app.sign_up(&email, "password").status, 201);
    let session = app.sign_in(&email, "password");
    assert_eq!(app.change_password(&session.access_token, "password", "123456").status, 200);
    app.sign_in(&email, "123456");
}

#[rstest]
fn a_weak_new_password_is_no_failed_guess(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[("TRUSTED_PROXIES", "127.0.0.1"), ("PASSWORD_MIN_SCORE", "3")]);
    let email = unique_email();
    assert_eq!(app.sign_up(&email, "Tr0mbone-quagmire-82").status, 201);
    let session = app.sign_in(&email, "Tr0mbone-quagmire-82");
    let body = json!({"current_password": "Tr0mbone-quagmire-82", "new_password": "password123"}).to_string();
    let headers = [("Authorization", session.access_token.as_str()), ("X-Forwarded-For", "203.0.113.9")];
    for _ in 0..12 {
        app.send("PUT", "/user/password", &headers, Some(&body)).assert_invalid(&["new_password"]);
    }
}

/// The SHA-1 hashes of three passwords, in ascending order: that of `Xylophone/marmot~17` is the second one.
const LEAKED: &str = "\
12E975088A93A25C3BBA87BF4E90FF5581D9A267:12\r
A0482D996DD710F94567EA0004B135425E59E259:3\r
FB874ADDE2EF27B526613EDFA10200A3610508D9:100\r
";

#[rstest]
fn nobody_chooses_a_leaked_password(#[values(Redis, Embedded)] store: Store) {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("leaked.txt");
    fs::write(&list, LEAKED).unwrap();
    let app = TestApp::start_with(store, &[("BREACHED_PASSWORDS", list.to_str().unwrap())]);
    let (email, leaked, good) = (unique_email(), "Xylophone/marmot~17", "Tr0mbone-quagmire-82");
    let assert_leaked = |answer: &Answer, field: &str| {
        answer.assert_invalid(&[field]);
        let message = "is on a list of leaked passwords, which attackers try first. Choose another password.";
        assert_eq!(answer.json()["fields"][0]["message"], message);
    };
    assert_leaked(&app.sign_up(&email, leaked), "password");
    app.authenticate(&email, leaked).assert_error(401, "invalid_credentials");
    assert_eq!(app.sign_up(&email, good).status, 201);
    let session = app.sign_in(&email, good);
    assert_leaked(&app.change_password(&session.access_token, good, leaked), "new_password");
    session.assert_lives([&app]);
    // The server uses a changed list at once, and users whose password is on the new list can still sign in.
    fs::write(&list, LEAKED.lines().next().unwrap()).unwrap();
    assert_eq!(app.change_password(&session.access_token, good, leaked).status, 200);
    fs::write(&list, LEAKED).unwrap();
    app.sign_in(&email, leaked);
    // Without its list, the server accepts no new password.
    fs::remove_file(&list).unwrap();
    app.sign_up(&unique_email(), good).assert_error(500, "internal_error");
    wait_until("the reason is logged", || app.output().contains("BREACHED_PASSWORDS cannot be read"));
    app.sign_in(&email, leaked);
}

#[test]
fn the_command_line_refuses_leaked_passwords_too() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("leaked.txt");
    fs::write(&list, LEAKED).unwrap();
    let mut app = TestApp::start_with(Embedded, &[("BREACHED_PASSWORDS", list.to_str().unwrap())]);
    app.terminate();
    app.wait();
    let refused = app.cli_with_input(&["user", "create", "ada@example.com"], "Xylophone/marmot~17\n");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("the password is on a list of leaked passwords"), "{said}");
    let created = app.cli_with_input(&["user", "create", "ada@example.com"], "Tr0mbone-quagmire-82\n");
    assert_eq!(created.status.code(), Some(0), "{created:?}");
}

#[test]
fn a_list_that_cannot_be_searched_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("list.txt");
    for (text, rest) in [
        ("password\n123456\n", "must name a list of SHA-1 hashes in ascending order"),
        (LEAKED.lines().rev().collect::<Vec<_>>().join("\n").as_str(), "a line is out of order"),
        ("", "is empty"),
    ] {
        fs::write(&list, text).unwrap();
        let (status, said) = refused_in(directory.path(), &[("BREACHED_PASSWORDS", "list.txt")]);
        assert_eq!(status, 2, "{said}");
        assert!(said.contains("BREACHED_PASSWORDS ") && said.contains(rest), "{said}");
    }
    let (status, said) = refused_in(directory.path(), &[("BREACHED_PASSWORDS", "no-such-list")]);
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("BREACHED_PASSWORDS names a list that cannot be read: no-such-list: No such file"), "{said}");
}

#[test]
fn settings_out_of_bounds_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let wrong = [
        ("ARGON2_MEMORY_KIB", &["7167", "1048577", "-1", "much", "7168.5"][..]),
        ("ARGON2_ITERATIONS", &["0", "33"]),
        ("ARGON2_PARALLELISM", &["0", "17"]),
        ("PASSWORD_MIN_SCORE", &["-1", "5", "3.5"]),
        ("REFRESH_TOKEN_ROTATION", &["yes", "1", "ON"]),
        ("REFRESH_GRACE_SECONDS", &["-1", "301"]),
        ("SESSION_MAX_AGE_SECONDS", &["-1", "315360001", "1d"]),
        ("MAX_SESSIONS_PER_USER", &["0", "1001"]),
    ];
    for round in 0..5 {
        let settings: BTreeMap<String, String> = wrong
            .iter()
            .map(|(name, values)| ((*name).to_owned(), values[round % values.len()].to_owned()))
            .chain([("PORT".to_owned(), "0".to_owned())])
            .collect();
        let output = command(directory.path(), &settings).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        for (name, values) in wrong {
            let lines: Vec<_> = error.lines().filter(|line| line.contains(name)).collect();
            assert_eq!(lines.len(), 1, "{name} in {error}");
            assert!(lines[0].contains("must be "), "{error}");
            // The message names the range, but not the value.
            assert!(!lines[0].contains(&format!(" {} ", values[round % values.len()])), "{error}");
        }
    }
    assert!(!directory.path().join("data").exists(), "the server did not start");
}

#[test]
fn password_min_length_is_a_setting() {
    let app = TestApp::start_with(Embedded, &[("PASSWORD_MIN_LENGTH", "15")]);
    let answer = app.sign_up(&unique_email(), "fourteen chars");
    answer.assert_invalid(&["password"]);
    assert_eq!(answer.json()["fields"][0]["message"], "must have at least 15 characters");
    assert_eq!(app.sign_up(&unique_email(), "fifteen chars !").status, 201);
}
