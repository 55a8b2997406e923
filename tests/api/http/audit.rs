//! The audit trail: one line for each security event, under the target `audit`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Answer, PASSWORD,
    Store::{self, Embedded, Redis},
    TestApp, guess_until_throttled, text, unique_email, wait_until,
};

fn audit_lines(app: &TestApp) -> Vec<Value> {
    app.log().into_iter().filter(|line| line["target"] == "audit").collect()
}

/// The only audit line of the request that got this answer.
#[track_caller]
fn line_of(app: &TestApp, answer: &Answer) -> Value {
    let id = answer.header("x-request-id").unwrap();
    let of_request = || audit_lines(app).into_iter().filter(|line| line["request_id"] == id).collect::<Vec<_>>();
    wait_until("the event is logged", || !of_request().is_empty());
    let lines = of_request();
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines[0].clone()
}

#[rstest]
fn each_event_is_one_line_with_user_session_and_address(#[values(Redis, Embedded)] store: Store) {
    let settings = [("REFRESH_TOKEN_ROTATION", "on"), ("REFRESH_GRACE_SECONDS", "0"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let app = TestApp::start_with(store, &settings);
    let email = unique_email();
    let from = ("X-Forwarded-For", "192.0.2.55");
    let send = |method: &str, path: &str, token: &str, body: Option<Value>| {
        let headers = [from, ("Authorization", token)];
        let headers = if token.is_empty() { &headers[..1] } else { &headers };
        app.send(method, path, headers, body.map(|body| body.to_string()).as_deref())
    };
    let mut user_id = None;
    let mut expect = |answer: &Answer, event: &str, session: bool| {
        let line = line_of(&app, answer);
        assert_eq!((&line["event"], &line["address"]), (&event.into(), &"192.0.2.55".into()), "{line}");
        assert_eq!(line["session_id"].as_str().is_some(), session, "{line}");
        assert!(line.get("email").is_none(), "{line}");
        let id = line["user_id"].as_str().unwrap_or_else(|| panic!("no user: {line}"));
        assert_eq!(*user_id.get_or_insert(id.to_owned()), id);
    };
    let credentials = json!({"email": email, "password": PASSWORD});
    let wrong = json!({"email": email, "password": "wrong password"});
    let sign_in = || {
        let answer = send("POST", "/authenticate", "", Some(credentials.clone()));
        (text(&answer, "access_token"), text(&answer, "refresh_token"), answer)
    };
    expect(&send("POST", "/signup", "", Some(credentials.clone())), "signed_up", false);
    let (_, refresh, answer) = sign_in();
    expect(&answer, "signed_in", true);
    expect(&send("POST", "/authenticate", "", Some(wrong.clone())), "sign_in_failed", false);

    let refresh_with = |token: &str| send("POST", "/refresh-access-token", "", Some(json!({"refresh_token": token})));
    let answer = refresh_with(&refresh);
    expect(&answer, "refreshed", true);
    expect(&refresh_with(&text(&answer, "refresh_token")), "refreshed", true);
    let answer = refresh_with(&refresh);
    answer.assert_error(401, "token_reused");
    expect(&answer, "token_reused", true);

    let (access, ..) = sign_in();
    expect(&send("POST", "/signout", &access, None), "session_ended", true);
    let (access, ..) = sign_in();
    let change = json!({"current_password": PASSWORD, "new_password": PASSWORD});
    expect(&send("PUT", "/user/password", &access, Some(change)), "password_changed", true);
    expect(&send("DELETE", "/access-token", "", Some(json!({"email": email}))), "tokens_removed", false);
    let (access, ..) = sign_in();
    expect(&send("DELETE", "/user", &access, Some(json!({"password": PASSWORD}))), "user_deleted", true);

    let guess = |email: &str| {
        let body = json!({"email": email, "password": "wrong password"});
        let (_, answer) = guess_until_throttled(|| send("POST", "/authenticate", "", Some(body.clone())));
        let line = line_of(&app, &answer);
        assert_eq!(line["event"], "throttled", "{line}");
        line["user_id"].is_string()
    };
    assert!(!guess(&email), "the account is deleted");
    assert!(guess(&app.new_account()));
    assert!(!app.output().contains(PASSWORD) && !app.output().contains(&access) && !app.output().contains(&email));
}

#[test]
fn audit_emails_on_adds_the_email() {
    let app = TestApp::start_with(Embedded, &[("AUDIT_EMAILS", "on")]);
    let email = unique_email();
    let answer = app.sign_up(&email, PASSWORD);
    assert_eq!(line_of(&app, &answer)["email"], email.as_str());
}

#[test]
fn the_log_filter_selects_the_audit_trail_by_its_target() {
    for (filter, audit, requests) in
        [("info,audit=off", false, true), ("warn,auth_service=info,audit=info", true, true)]
    {
        let app = TestApp::start_with(Embedded, &[("RUST_LOG", filter)]);
        let answer = app.sign_up(&unique_email(), PASSWORD);
        assert_eq!(answer.status, 201);
        wait_until("the request is logged", || app.request_log().is_empty() != requests);
        assert_eq!(audit_lines(&app).iter().any(|line| line["event"] == "signed_up"), audit, "{filter}");
    }
}

#[test]
fn a_quiet_log_keeps_the_audit_trail() {
    for level in ["warn", "error", "off"] {
        // The tests need the line that names the port.
        let filter = format!("{level},auth_service::start=info");
        let app = TestApp::start_with(Embedded, &[("RUST_LOG", &filter)]);
        let answer = app.sign_up(&unique_email(), PASSWORD);
        assert_eq!(line_of(&app, &answer)["event"], "signed_up");
        assert_eq!(app.request_log(), [] as [Value; 0]);
    }
}

#[test]
fn the_start_logs_its_warnings_in_the_audit_trail() {
    let app = TestApp::start(Embedded);
    let settings = ["AUTH_SECRET_KEY", "TOKEN_REMOVAL"];
    wait_until("the start has logged its warnings", || audit_lines(&app).len() >= settings.len());
    for (line, setting) in audit_lines(&app).iter().zip(settings) {
        assert_eq!((&line["event"], &line["setting"]), (&"settings_warning".into(), &setting.into()), "{line}");
        assert_eq!(line["level"], "WARN");
    }
}
