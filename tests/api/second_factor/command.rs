//! The commands of operators: `user show`, `user remove-totp`, `export` and `import`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    PASSWORD, SECRETS,
    Store::{self, Embedded, Redis},
    TestApp, unique_email,
};

#[rstest]
fn an_operator_removes_the_second_factor_of_a_user_who_has_lost_it(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let (session, authenticator) = app.account_with_totp();
    let mfa_token = app.mfa_token(&session.email);
    let app = app.aside(store);
    let shown = app.cli(&["user", "show", &session.email, "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["totp"]["recovery_codes"], 10, "{shown}");
    assert!(shown["totp"]["confirmed_at"].as_str().unwrap().ends_with('Z'), "{shown}");
    let removed = app.cli(&["user", "remove-totp", &session.email, "--json"]);
    assert_eq!(removed.status.code(), Some(0), "{removed:?}");
    let said: Value = serde_json::from_slice(&removed.stdout).unwrap();
    assert_eq!(said, json!({"result": "totp_removed", "email": session.email}));
    for (email, sentence) in [(&session.email, "has no second factor"), (&unique_email(), "there is no account")] {
        let again = app.cli(&["user", "remove-totp", email]);
        assert_eq!(again.status.code(), Some(1), "{again:?}");
        assert!(String::from_utf8_lossy(&again.stderr).contains(sentence), "{again:?}");
    }
    let app = app.back(store);
    app.authenticate_totp(&mfa_token, &authenticator.code()).assert_error(401, "invalid_mfa_token");
    assert_eq!(app.authenticate(&session.email, PASSWORD).status, 200);
    session.assert_lives([&app]);
}

#[test]
fn an_exported_second_factor_works_in_another_store_with_the_same_secret() {
    let app = TestApp::start_with(Embedded, &SECRETS);
    let (session, authenticator) = app.account_with_totp();
    let app = app.aside(Embedded);
    let exported = app.cli(&["export"]);
    let lines = String::from_utf8(exported.stdout).unwrap();
    let line: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert!(line["totp"]["secret"].is_string() && !lines.contains(&authenticator.secret), "{line}");
    let other = TestApp::start_with(Redis, &SECRETS);
    let imported = other.cli_with_input(&["import", "-"], &lines);
    assert_eq!(imported.status.code(), Some(0), "{imported:?}");
    other.sign_in_with(&session.email, &authenticator.code());
}
