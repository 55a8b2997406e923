//! Request bodies: what is no small JSON object is refused, unparsed or unused, and never repeated.

use std::net::Shutdown;

use serde_json::{Value, json};

use crate::{
    app::{PASSWORD, TestApp, unique_email},
    raw::{self, Answer, Connection},
    runner::Store,
    suite,
};

suite! {
    plain: [
        bodies_over_16_kib_are_413_before_parsing,
        chunked_bodies_over_16_kib_are_413_and_not_read_on,
        a_body_that_is_longer_or_shorter_than_it_says_is_never_used,
        a_body_that_is_not_json_by_its_content_type_is_415,
        duplicate_fields_are_400_at_any_depth,
        arrays_and_bare_values_are_400,
        malformed_json_is_400,
        control_and_invisible_characters_in_an_email_are_400,
        emails_beyond_ascii_merge_with_no_account,
        no_error_repeats_what_the_client_sent,
        a_password_over_1024_bytes_is_refused_unhashed,
        an_unread_body_never_becomes_a_request,
        a_large_unread_body_ends_the_connection,
    ]
    every_store: [unknown_fields_change_nothing]
}

const LIMIT: usize = 16 * 1024;
/// In a body where the server must not repeat it.
const MARK: &str = "pL4nted-M4rk";
/// All routes that take a body, with a method.
const ROUTES: [(&str, &str); 7] = [
    ("POST", "/signup"),
    ("GET", "/authenticate"),
    ("POST", "/authenticate"),
    ("GET", "/refresh-access-token"),
    ("POST", "/refresh-access-token"),
    ("GET", "/user"),
    ("DELETE", "/access-token"),
];
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A request with a body of any bytes.
fn bytes(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let mut bytes = raw::request(method, path, &[headers, &[("Content-Length", &length)]].concat(), None);
    bytes.extend_from_slice(body);
    bytes
}

/// Sends a body to a route, with a token so that no route refuses the request before its body.
fn send(app: &TestApp, token: &str, (method, path): (&str, &str), body: &[u8]) -> Answer {
    raw::exchange(app.port(), &bytes(method, path, &[JSON, ("Authorization", token)], body)).unwrap()
}

fn sign_up(app: &TestApp, body: impl AsRef<[u8]>) -> Answer {
    raw::exchange(app.port(), &bytes("POST", "/signup", &[JSON], body.as_ref())).unwrap()
}

/// A sign-up that is right in itself, padded with spaces to `length`.
fn padded(email: &str, length: usize) -> String {
    let mut body = json!({"email": email, "password": PASSWORD}).to_string();
    body += &" ".repeat(length - body.len());
    body
}

fn bodies_over_16_kib_are_413_before_parsing() {
    let app = TestApp::start(Store::Embedded);
    let token = app.new_session().access_token;
    let not_even_json = "x".repeat(LIMIT + 1);
    for route in ROUTES {
        send(&app, &token, route, not_even_json.as_bytes()).assert_error(413, "body_too_large");
    }
    assert_eq!(sign_up(&app, padded(&unique_email(), LIMIT)).status, 201);
    let email = unique_email();
    sign_up(&app, padded(&email, LIMIT + 1)).assert_error(413, "body_too_large");
    assert_eq!(app.authenticate(&email, PASSWORD).status, 401, "no account was made");
    // By its length alone: not a byte of the body comes.
    let head = raw::request("POST", "/signup", &[JSON, ("Content-Length", "10737418240")], None);
    raw::exchange(app.port(), &head).unwrap().assert_error(413, "body_too_large");
    let asking =
        raw::request("POST", "/signup", &[JSON, ("Content-Length", "16385"), ("Expect", "100-continue")], None);
    raw::exchange(app.port(), &asking).unwrap().assert_error(413, "body_too_large");
}

fn chunked_bodies_over_16_kib_are_413_and_not_read_on() {
    let app = TestApp::start(Store::Embedded);
    let head = raw::request("POST", "/signup", &[JSON, ("Transfer-Encoding", "chunked")], None);
    let chunked = |body: &str| {
        let mut bytes = head.clone();
        for part in body.as_bytes().chunks(1000) {
            bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        raw::exchange(app.port(), &bytes).unwrap()
    };
    assert_eq!(chunked(&padded(&unique_email(), LIMIT)).status, 201);
    chunked(&padded(&unique_email(), LIMIT + 1)).assert_error(413, "body_too_large");

    let mut connection = Connection::open(app.port());
    connection.write(&head).unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", LIMIT, " ".repeat(LIMIT));
    let endless = (0..8192).all(|_| connection.write(chunk.as_bytes()).is_ok());
    assert!(!endless, "the server has read 128 MB");
    connection.read().unwrap().assert_error(413, "body_too_large");
    assert!(connection.is_closed());
}

fn a_body_that_is_longer_or_shorter_than_it_says_is_never_used() {
    let app = TestApp::start(Store::Embedded);
    let body = json!({"email": unique_email(), "password": PASSWORD}).to_string();
    let says = |length: usize| {
        let length = length.to_string();
        let mut bytes = raw::request("POST", "/signup", &[JSON, ("Content-Length", &length)], None);
        bytes.extend_from_slice(body.as_bytes());
        bytes
    };
    let mut longer = Connection::open(app.port());
    longer.write(&says(10)).unwrap();
    longer.read().unwrap().assert_error(400, "invalid_json");
    // The rest is the start of a next request, and no good one.
    assert_eq!(longer.read().map(|answer| answer.status), Some(400));
    assert!(longer.is_closed());

    let mut shorter = Connection::open(app.port());
    shorter.write(&says(body.len() + 1)).unwrap();
    shorter.shutdown(Shutdown::Write);
    if let Some(answer) = shorter.read() {
        answer.assert_error(400, "invalid_body");
    }
    assert!(shorter.is_closed());
    let cut = raw::request("POST", "/signup", &[JSON, ("Transfer-Encoding", "chunked")], None);
    let cut = [cut, format!("{:x}\r\n{body}\r\nnot a size\r\n\r\n", body.len()).into_bytes()].concat();
    let mut cut_off = Connection::open(app.port());
    cut_off.write(&cut).unwrap();
    cut_off.read().unwrap().assert_error(400, "invalid_body");
    assert!(cut_off.is_closed());
    assert_eq!(sign_up(&app, &body).status, 201, "none of them made the account");
}

fn a_body_that_is_not_json_by_its_content_type_is_415() {
    let app = TestApp::start(Store::Embedded);
    let token = app.new_session().access_token;
    for (method, path) in ROUTES {
        let with = |headers: &[(&str, &str)]| {
            let headers = [&[("Authorization", token.as_str())], headers].concat();
            raw::exchange(app.port(), &bytes(method, path, &headers, b"{}")).unwrap()
        };
        with(&[]).assert_error(415, "unsupported_media_type");
        for wrong in [
            "",
            "text/plain",
            "text/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "application/merge-patch+json",
            "application/json, text/plain",
            "text/plain; application/json",
        ] {
            with(&[("Content-Type", wrong)]).assert_error(415, "unsupported_media_type");
        }
        with(&[JSON, JSON]).assert_error(415, "unsupported_media_type");
        for right in ["application/json", "Application/JSON; charset=utf-8", "application/json;x=y"] {
            with(&[("Content-Type", right)]).assert_error(400, "validation_failed");
        }
    }
}

fn duplicate_fields_are_400_at_any_depth() {
    let app = TestApp::start(Store::Embedded);
    let email = unique_email();
    for more in [
        r#""email": "other@example.com""#,
        r#""\u0065mail": "other@example.com""#,
        r#""password": "another password""#,
        r#""x": 1, "x": 1"#,
        r#""x": {"y": 1, "y": 1}"#,
        r#""x": [[{"y": {"z": null, "z": null}}]]"#,
    ] {
        let body = format!(r#"{{"email": "{email}", "password": "{PASSWORD}", {more}}}"#);
        sign_up(&app, body).assert_error(400, "invalid_json");
    }
    // One name in two objects is no duplicate.
    let body = format!(r#"{{"email": "{email}", "password": "{PASSWORD}", "x": {{"email": 1}}, "y": [{{"x": 1}}]}}"#);
    assert_eq!(sign_up(&app, body).status, 201);
}

fn unknown_fields_change_nothing(store: Store) {
    let app = TestApp::start(store);
    let email = unique_email();
    let id = "00000000-0000-4000-8000-000000000000";
    let more = json!({"role": "admin", "id": id, "sub": id, "created_at": 0, "phc": "x", "tag": "x", "status": 500});
    let mut body = json!({"email": email, "password": PASSWORD});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.send_json("POST", "/signup", &body).assert(201, &json!({"result": "Account successfully created"}));
    let signed_in = app.send_json("POST", "/authenticate", &body);
    assert_eq!(signed_in.status, 200, "{signed_in:?}");
    let token = signed_in.json()["access_token"].as_str().unwrap().to_owned();
    let profile = app.send("GET", "/user", &[("Authorization", &token)], Some(&body.to_string())).json();
    let names: Vec<_> = profile["data"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["created_at", "email", "id"]);
    assert_ne!(profile["data"]["id"], id);
    assert!(!profile["data"]["created_at"].as_str().unwrap().starts_with("1970"), "{profile}");
}

fn arrays_and_bare_values_are_400() {
    let app = TestApp::start(Store::Embedded);
    let token = app.new_session().access_token;
    let pair = json!([unique_email(), PASSWORD]).to_string();
    for route in ROUTES {
        for body in [&pair, "[]", "[{}]", "null", "true", "0", "\"text\"", " \t\r\n"] {
            send(&app, &token, route, body.as_bytes()).assert_error(400, "invalid_json");
        }
        // The two that may come without a body know the caller by the token.
        if !matches!(route.1, "/user" | "/access-token") {
            send(&app, &token, route, b"").assert_error(400, "invalid_json");
        }
    }
}

fn malformed_json_is_400() {
    let app = TestApp::start(Store::Embedded);
    let token = app.new_session().access_token;
    let object = |email: &[u8], more: &[u8]| {
        [br#"{"email": ""#, email, br#"@example.com", "password": "correct horse""#, more].concat()
    };
    let deep = format!(", \"x\": {}{}}}", "[".repeat(200), "]".repeat(200));
    let deep_objects = format!(", \"x\": {}1{}}}", "{\"x\":".repeat(200), "}".repeat(200));
    for (what, body) in [
        ("cut off", object(b"a", b"")),
        ("trailing comma", object(b"a", b",}")),
        ("trailing bytes", object(b"a", b"} {}")),
        ("trailing NUL", object(b"a", b"}\0")),
        ("two objects", [object(b"a", b"}"), object(b"b", b"}")].concat()),
        ("invalid UTF-8", object(b"\xff", b"}")),
        ("overlong UTF-8", object(b"\xc0\xaf", b"}")),
        ("surrogate as UTF-8", object(b"\xed\xa0\x80", b"}")),
        ("lone surrogate", object(br"\ud800", b"}")),
        ("raw line break in a string", object(b"a\n", b"}")),
        ("raw NUL in a string", object(b"a\0", b"}")),
        ("unknown escape", object(br"\x41", b"}")),
        ("BOM", [b"\xef\xbb\xbf", object(b"a", b"}").as_slice()].concat()),
        ("UTF-16", "{}".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("arrays too deep", object(b"a", deep.as_bytes())),
        ("objects too deep", object(b"a", deep_objects.as_bytes())),
        ("number too large", object(b"a", br#", "x": 1e999}"#)),
        ("NaN", object(b"a", br#", "x": NaN}"#)),
        ("comment", object(b"a", b" /* */}")),
        ("name without quotes", b"{email: 1}".to_vec()),
    ] {
        for route in ROUTES {
            let answer = send(&app, &token, route, &body);
            assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("invalid_json")), "{what}");
        }
    }
    let answer = app.send("GET", "/livez", &[], None);
    assert_eq!(answer.status, 200);
    assert!(!app.output().contains("panicked"), "{}", app.output());
}

/// Each must be refused as an email, wherever one is taken, and nothing of it repeated.
fn assert_no_email(app: &TestApp, token: &str, email: &str) {
    let body = json!({"email": email, "password": PASSWORD}).to_string();
    for route in ROUTES.iter().filter(|(_, path)| *path != "/refresh-access-token") {
        let answer = send(app, token, *route, body.as_bytes());
        answer.assert_invalid(&["email"]);
        assert!(!answer.body.contains(email) && !answer.body.contains(MARK), "{answer:?}");
        assert!(answer.body.is_ascii() && !answer.body.contains("\\u"), "{answer:?}");
    }
}

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
    for email in [format!("{MARK}@example.com\n"), format!(" {MARK}@example.com"), format!("{MARK}@example.com\0")] {
        assert_no_email(&app, &token, &email);
    }
}

fn emails_beyond_ascii_merge_with_no_account() {
    let app = TestApp::start(Store::Embedded);
    let session = app.new_session();
    let domain = session.email.split_once('@').unwrap().1;
    for name in ["admın", "\u{212a}elvin", "stra\u{df}e", "\u{ff55}ser", "e\u{301}", "\u{e9}"] {
        assert_no_email(&app, &session.access_token, &format!("{name}@{domain}"));
        assert_no_email(&app, &session.access_token, &format!("user@{name}.example"));
    }
}

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
        for (method, path) in ROUTES {
            let with_token = send(&app, &session.access_token, (method, path), body.as_bytes());
            let bad_token = send(&app, MARK, (method, path), body.as_bytes());
            let plain = [("Content-Type", MARK), ("Authorization", MARK)];
            let wrong_type = raw::exchange(app.port(), &bytes(method, path, &plain, body.as_bytes())).unwrap();
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

fn a_password_over_1024_bytes_is_refused_unhashed() {
    let app = TestApp::start_with(Store::Embedded, &[("ARGON2_MEMORY_KIB", "19456"), ("ARGON2_ITERATIONS", "32")]);
    let email = unique_email();
    let before = app.cpu_ticks();
    assert_eq!(app.sign_up(&email, PASSWORD).status, 201);
    let one_hash = app.cpu_ticks() - before;

    let before = app.cpu_ticks();
    for _ in 0..5 {
        for path in ["/signup", "/authenticate"] {
            let with = |length| {
                let password = "x".repeat(length);
                app.send_json("POST", path, &json!({"email": email, "password": password}))
            };
            with(1024 * 1024).assert_error(413, "body_too_large");
            let answer = with(1025);
            answer.assert_invalid(&["password"]);
            assert_eq!(answer.json()["fields"][0]["message"], Value::from("must not have more than 1024 bytes"));
        }
    }
    let refused = app.cpu_ticks() - before;
    assert!(refused < one_hash, "20 refusals cost {refused} ticks, one hash {one_hash}");
}

fn an_unread_body_never_becomes_a_request() {
    let app = TestApp::start(Store::Embedded);
    let token = app.new_session().access_token;
    let smuggled = raw::request("GET", "/livez", &[("X-Request-Id", "smuggled")], None);
    let after = raw::request("GET", "/livez", &[("X-Request-Id", "after")], None);
    let authorized = ("Authorization", token.as_str());
    let text = ("Content-Type", "text/plain");
    for (method, path, headers, status) in [
        ("GET", "/livez", vec![], 200),
        ("GET", "/readyz", vec![], 200),
        ("GET", "/nothing-here", vec![], 404),
        ("PUT", "/signup", vec![], 405),
        ("TRACE", "/user", vec![authorized], 405),
        ("GET", "/authenticate", vec![text], 415),
        ("GET", "/user", vec![authorized, text], 415),
        ("GET", "/user", vec![authorized, authorized], 400),
        ("GET", "/user?x=y", vec![authorized], 400),
    ] {
        for size in [smuggled.len(), 1000 + smuggled.len(), 70_000 + smuggled.len()] {
            let body = [smuggled.repeat(size / smuggled.len()), vec![b' '; size % smuggled.len()]].concat();
            let head = [headers.clone(), vec![("X-Request-Id", "first")]].concat();
            let mut connection = Connection::open(app.port());
            // An error means that the server has closed, which is one way to be safe.
            let _ = connection.write(&bytes(method, path, &head, &body)).and_then(|()| connection.write(&after));
            let first = connection.read().unwrap();
            // Where the body would be read, its size is looked at before its type.
            let status = if status == 415 && size > LIMIT { 413 } else { status };
            assert_eq!((first.status, first.header("x-request-id")), (status, Some("first")), "{method} {path}");
            if let Some(second) = connection.read() {
                assert_eq!(second.header("x-request-id"), Some("after"), "{method} {path} {second:?}");
            }
        }
    }
    assert!(!app.output().contains("smuggled"), "{}", app.output());
}

fn a_large_unread_body_ends_the_connection() {
    let app = TestApp::start(Store::Embedded);
    let body = vec![b' '; 5_000_000];
    for (path, status) in [("/livez", 200), ("/nothing-here", 404), ("/authenticate", 413)] {
        let mut connection = Connection::open(app.port());
        let _ = connection.write(&bytes("GET", path, &[JSON], &body));
        assert_eq!(connection.read().unwrap().status, status, "{path}");
        assert!(connection.is_closed(), "{path}");
    }
}
