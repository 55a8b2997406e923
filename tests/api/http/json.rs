//! The JSON in a request body: the server refuses anything but one valid object, and no answer repeats the body.

use serde_json::json;

use crate::support::{
    BODY_ROUTES, PASSWORD, Store, TestApp, raw, request_of_bytes, send_body, sign_up_with, unique_email,
};

/// A text in requests that no answer and no log line may repeat.
const MARK: &str = "pL4nted-M4rk";

#[test]
fn a_duplicate_of_a_known_field_is_400_and_unknown_fields_may_hold_anything() {
    let app = TestApp::start(Store::Embedded);
    let email = unique_email();
    for more in
        [r#""email": "other@example.com""#, r#""\u0065mail": "other@example.com""#, r#""password": "another password""#]
    {
        let body = format!(r#"{{"email": "{email}", "password": "{PASSWORD}", {more}}}"#);
        sign_up_with(&app, body).assert_error(400, "invalid_json");
    }
    let deep = |open: &str, close: &str| format!(r#""x": {}1{}"#, open.repeat(2000), close.repeat(2000));
    for unknown in [
        r#""x": {"email": 1, "y": 1, "y": 1}, "x": [{"x": null}], "Email": 1, "": 2"#,
        r#""x": 1e999, "y": -1e-999, "z": 123456789012345678901234567890123456789"#,
        r#""x": "\ud800", "y": ["\udc00\ud800", "\u0000"], "z": {"\ud800": 1}"#,
        &deep("[", "]"),
        &deep(r#"{"x":"#, "}"),
        &format!(r#""x": "{}""#, "y".repeat(15_000)),
    ] {
        let body = format!(r#"{{{unknown}, "email": "{}", "password": "{PASSWORD}", {unknown}}}"#, unique_email());
        let answer =
            sign_up_with(&app, if body.len() > 16_384 { body.replacen(unknown, r#""x": 1"#, 1) } else { body });
        assert_eq!(answer.status, 201, "{unknown:.100} {answer:?}");
    }
}

#[test]
fn arrays_and_bare_values_are_400() {
    let app = TestApp::start(Store::Embedded);
    let token = app.new_session().access_token;
    let pair = json!([unique_email(), PASSWORD]).to_string();
    for route in BODY_ROUTES {
        for body in [&pair, "[]", "[{}]", "null", "true", "0", "\"text\"", " \t\r\n"] {
            send_body(&app, &token, route, body.as_bytes()).assert_error(400, "invalid_json");
        }
        // `/user` and `/access-token` also accept an empty body, because the token identifies the user.
        if !matches!(route.1, "/user" | "/access-token") {
            send_body(&app, &token, route, b"").assert_error(400, "invalid_json");
        }
    }
}

#[test]
fn malformed_json_is_400() {
    let app = TestApp::start(Store::Embedded);
    let token = app.new_session().access_token;
    let object = |email: &[u8], more: &[u8]| {
        [br#"{"email": ""#, email, br#"@example.com", "password": "correct horse""#, more].concat()
    };
    let deep = format!(", \"x\": {}{}}}", "[".repeat(2000), "]".repeat(1999));
    for (what, body) in [
        ("cut off", object(b"a", b"")),
        ("trailing comma", object(b"a", b",}")),
        ("trailing bytes", object(b"a", b"} {}")),
        ("trailing NUL", object(b"a", b"}\0")),
        ("two objects", [object(b"a", b"}"), object(b"b", b"}")].concat()),
        ("invalid UTF-8", object(b"\xff", b"}")),
        ("overlong UTF-8", object(b"\xc0\xaf", b"}")),
        ("surrogate as UTF-8", object(b"\xed\xa0\x80", b"}")),
        ("raw line break in a string", object(b"a\n", b"}")),
        ("raw NUL in a string", object(b"a\0", b"}")),
        ("unknown escape", object(br"\x41", b"}")),
        ("BOM", [b"\xef\xbb\xbf", object(b"a", b"}").as_slice()].concat()),
        ("UTF-16", "{}".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("cut off in an unknown field", object(b"a", deep.as_bytes())),
        ("half an escape", object(b"a", br#", "x": "\ud80"}"#)),
        ("a number that starts with 0", object(b"a", br#", "x": 01}"#)),
        ("NaN", object(b"a", br#", "x": NaN}"#)),
        ("comment", object(b"a", b" /* */}")),
        ("name without quotes", b"{email: 1}".to_vec()),
    ] {
        for route in BODY_ROUTES {
            let answer = send_body(&app, &token, route, &body);
            assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("invalid_json")), "{what}");
        }
    }
    // A field that the route does not know may hold a lone surrogate.
    for route in BODY_ROUTES.iter().filter(|(_, path)| *path != "/refresh-access-token") {
        send_body(&app, &token, *route, &object(br"\ud800", b"}")).assert_error(400, "invalid_json");
    }
    let answer = app.send("GET", "/livez", &[], None);
    assert_eq!(answer.status, 200);
    assert!(!app.output().contains("panicked"), "{}", app.output());
}

/// Asserts that every route refuses this email, and that no answer repeats it.
fn assert_no_email(app: &TestApp, token: &str, email: &str) {
    let body = json!({"email": email, "password": PASSWORD}).to_string();
    for route in BODY_ROUTES.iter().filter(|(_, path)| *path != "/refresh-access-token") {
        let answer = send_body(app, token, *route, body.as_bytes());
        answer.assert_invalid(&["email"]);
        assert!(!answer.body.contains(email) && !answer.body.contains(MARK), "{answer:?}");
        assert!(answer.body.is_ascii() && !answer.body.contains("\\u"), "{answer:?}");
    }
}

#[test]
fn control_and_invisible_characters_in_an_email_are_400() {
    let app = TestApp::start(Store::Embedded);
    let token = app.new_session().access_token;
    let mut characters = vec![' ', '\u{7f}', '\u{85}', '\u{9f}', '\u{a0}', '\u{ad}', '\u{61c}', '\u{200b}', '\u{200d}'];
    characters.extend([
        '\u{200e}',
        '\u{202e}',
        '\u{2028}',
        '\u{2066}',
        '\u{2069}',
        '\u{feff}',
        '\u{fffe}',
        '\u{e0041}',
    ]);
    characters.extend('\0'..'\u{20}');
    for character in characters {
        for email in [format!("a{character}{MARK}@example.com"), format!("{MARK}@exa{character}mple.com")] {
            assert_no_email(&app, &token, &email);
        }
    }
    for email in [format!("{MARK}@example.com\0"), format!("\u{a0}{MARK}@example.com")] {
        assert_no_email(&app, &token, &email);
    }
}

#[test]
fn a_local_part_beyond_ascii_is_400() {
    let app = TestApp::start(Store::Embedded);
    let session = app.new_session();
    let domain = session.email.split_once('@').unwrap().1;
    for name in ["admın", "\u{212a}elvin", "stra\u{df}e", "\u{ff55}ser", "e\u{301}", "\u{e9}"] {
        assert_no_email(&app, &session.access_token, &format!("{name}@{domain}"));
    }
}

#[test]
fn no_error_repeats_what_the_client_sent() {
    let app = TestApp::start_with(Store::Embedded, &[("RUST_LOG", "trace")]);
    let session = app.new_session();
    let number = "918273645546372819";
    for body in [
        format!(r#"{{"email": "{MARK}", "password": "{MARK}"}}"#),
        format!(r#"{{"email": "{MARK}", "password": {number}, "refresh_token": {number}}}"#),
        format!(r#"{{"email": ["{MARK}"], "password": {{"{MARK}": "{MARK}"}}, "refresh_token": ["{MARK}"]}}"#),
        format!(r#"{{"{MARK}": "{MARK}"}}"#),
        format!(r#"{{"{MARK}": 1, "{MARK}": 2}}"#),
        format!(r#"["{MARK}", {number}]"#),
        format!(r#""{MARK}""#),
        number.to_owned(),
        format!(r#"{{"password": "{MARK}"#),
        format!(r#"{{"password": {MARK}}}"#),
        format!("email={MARK}&password={MARK}"),
        format!(r#"{{"refresh_token": "{MARK}", "access_token": "{MARK}"}}"#),
        format!(r#"{{"refresh_token": "{MARK}.{MARK}.{MARK}"}}"#),
    ] {
        for (method, path) in BODY_ROUTES {
            let with_token = send_body(&app, &session.access_token, (method, path), body.as_bytes());
            let bad_token = send_body(&app, MARK, (method, path), body.as_bytes());
            let plain = [("Content-Type", MARK), ("Authorization", MARK)];
            let wrong_type =
                raw::exchange(app.port(), &request_of_bytes(method, path, &plain, body.as_bytes())).unwrap();
            for answer in [with_token, bad_token, wrong_type] {
                assert!((400..=499).contains(&answer.status), "{method} {path} {body} {answer:?}");
                let all = format!("{answer:?}");
                assert!(!all.contains(MARK) && !all.contains(number), "{method} {path} {body} {answer:?}");
            }
        }
    }
    for path in [format!("/{MARK}"), format!("/user/{MARK}"), format!("/user?access_token={MARK}")] {
        let answer = app.send(MARK, &path, &[(MARK, MARK), ("X-Request-Id", &format!("{MARK}!"))], None);
        assert!(!format!("{answer:?}").contains(MARK), "{answer:?}");
    }
    let output = app.output();
    assert!(!output.contains(MARK) && !output.contains(number), "{output}");
}
