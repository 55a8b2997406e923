//! `auth-service sessions list` and `auth-service sessions end`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    PASSWORD, Session,
    Store::{self, Embedded, Redis},
    TestApp, unique_email,
};

fn run(app: &TestApp, arguments: &[&str]) -> (i32, String, String) {
    let output = app.cli(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[rstest]
fn the_command_line_lists_and_ends_sessions(#[values(Redis, Embedded)] store: Store) {
    let mut app = TestApp::start_with(store, &[("TRUSTED_PROXIES", "127.0.0.1")]);
    let email = app.new_session().email;
    let first = app.session_of(&email);
    let body = json!({"email": email.to_uppercase(), "password": PASSWORD}).to_string();
    let headers = [("X-Forwarded-For", "192.0.2.7"), ("User-Agent", "a \u{9b}31mred agent")];
    let second = Session::of(&email, &app.send("POST", "/authenticate", &headers, Some(&body)));
    let listed = app.sessions(&first.access_token);
    let stranger = app.new_session();
    if store == Embedded {
        // Only one process can open the embedded store, and the server is still running.
        let (code, output, error) = run(&app, &["sessions", "list", &email]);
        assert_eq!((code, output.as_str()), (1, ""), "{error}");
        assert!(error.contains("held by another process"), "{error}");
        app.kill();
    }

    let (code, output, _) = run(&app, &["sessions", "list", &email, "--json"]);
    let found: Value = serde_json::from_str(&output).unwrap();
    let expected: Vec<_> = listed
        .into_iter()
        .map(|mut session| {
            session.as_object_mut().unwrap().remove("current");
            session
        })
        .collect();
    assert_eq!((code, &found), (0, &json!({"sessions": expected})));
    let (code, output, _) = run(&app, &["sessions", "list", &email]);
    let lines: Vec<_> = output.lines().collect();
    assert_eq!((code, lines.len()), (0, 3), "{output}");
    assert!(lines[0].starts_with(&second.id()) && lines[0].contains(" from 192.0.2.7 a 31mred agent"), "{output}");
    assert!(lines[1].starts_with(&first.id()), "{output}");

    let end = |id: &str, more: &[&str]| run(&app, &[&["sessions", "end", &email, id], more].concat());
    let (code, output, _) = end(&second.id(), &["--json"]);
    let ended: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, ended), (0, json!({"result": "session_ended", "id": second.id()})));
    let with_a_hyphen = ["-", &second.id()[1..]].concat();
    for id in [second.id(), stranger.id(), "nonsense".to_owned(), with_a_hyphen, "-h".to_owned() + &"-".repeat(20)] {
        let (code, output, error) = end(&id, &[]);
        assert_eq!((code, output.as_str()), (1, ""));
        assert!(error.starts_with("auth-service: there is no such session"), "{error}");
        let (code, output, error) = end(&id, &["--json"]);
        let refused: Value = serde_json::from_str(&output).unwrap();
        assert_eq!((code, &refused["code"], error.as_str()), (1, &json!("session_not_found"), ""));
    }
    for email in [unique_email(), "-".to_owned() + &unique_email()] {
        let (code, output, error) = run(&app, &["sessions", "list", &email]);
        assert_eq!((code, output.as_str()), (0, &*format!("{email} has no sessions\n")), "{error}");
    }
    let (code, output, _) = run(&app, &["sessions", "list", &unique_email(), "--json"]);
    assert_eq!((code, output.as_str()), (0, "{\"sessions\":[]}\n"));

    let app = app.kill_and_restart();
    second.assert_dead([&app]);
    first.assert_lives([&app]);
    stranger.assert_lives([&app]);
}

#[test]
fn the_command_line_of_sessions_refuses_wrong_usage() {
    let mut app = TestApp::start(Embedded);
    app.kill();
    for arguments in [
        &["sessions"][..],
        &["sessions", "list"],
        &["sessions", "list", "nobody"],
        &["sessions", "end", "a@example.com"],
        &["sessions", "drop", "a@example.com"],
        &["sessions", "list", "a@example.com", "--data-dir", "not-there"],
        &["sessions", "list", "a@example.com", "--no-such-flag"],
        &["sessions", "list", "--no-such-flag"],
    ] {
        let (code, output, error) = run(&app, arguments);
        assert_eq!((code, output.as_str()), (2, ""), "{arguments:?}");
        assert!(!error.is_empty(), "{arguments:?}");
    }
    let (code, output, _) = run(&app, &["sessions", "list", "nobody", "--json"]);
    let refused: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &refused["code"]), (2, &json!("wrong_usage")));
    let (code, output, _) =
        run(&app, &["sessions", "list", "a@example.com", "--json", "--redis-url", "redis://127.0.0.1:1"]);
    let away: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &away["code"]), (1, &json!("store_unreachable")));
}
