//! The forms that introspection and revocation take.

use rstest::rstest;

use crate::support::{
    Answer, CREDENTIALS, FORM, JSON, RESOURCE_SERVERS,
    Store::{self, Embedded, Redis},
    TestApp,
    raw::{self, Connection},
    request_of_bytes,
};

const ROUTES: [&str; 2] = ["/introspect", "/revoke"];

fn send(app: &TestApp, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = [&[CREDENTIALS], headers].concat();
    raw::exchange(app.port(), &request_of_bytes(method, path, &headers, body.as_bytes())).unwrap()
}

#[rstest]
fn a_form_has_the_token_once(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[RESOURCE_SERVERS]);
    for path in ROUTES {
        for form in [
            "",
            "token",
            "token=",
            "token=&token=x",
            "token=x&token=x",
            "token=x&%74oken=x",
            "Token=x",
            "x",
            "token_type_hint=access_token",
            "token=x&token_type_hint=access_token&token_type_hint=refresh_token",
            "{\"token\": \"x\"}",
        ] {
            let answer = app.send_form(path, &[CREDENTIALS], form);
            answer.assert_error(400, "invalid_request");
        }
        let nothing = send(&app, "POST", path, &[], "");
        nothing.assert_error(400, "invalid_request");
        for form in
            ["token=x&", "&&token=x", "token=x&other=1&other=2&y", "token=x&token_type_hint=nonsense", "token=%zz%"]
        {
            assert_eq!(app.send_form(path, &[CREDENTIALS], form).status, 200, "{form}");
        }
        assert_eq!(app.send_form(path, &[CREDENTIALS], b"token=\xff%ff%00").status, 200);
    }
}

#[rstest]
fn the_body_is_a_form_of_at_most_16_kib(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[RESOURCE_SERVERS]);
    let largest = format!("token={}", "x".repeat(16 * 1024 - 6));
    for path in ROUTES {
        for media_type in ["application/x-www-form-urlencoded; charset=UTF-8", "Application/X-WWW-Form-URLEncoded"] {
            let answer = send(&app, "POST", path, &[("Content-Type", media_type)], "token=x");
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        let multipart = ("Content-Type", "multipart/form-data; boundary=x");
        for headers in [&[][..], &[JSON], &[("Content-Type", "text/plain")], &[multipart], &[FORM, FORM], &[FORM, JSON]]
        {
            let answer = send(&app, "POST", path, headers, "token=x");
            answer.assert_error(415, "unsupported_media_type");
            let error = answer.json()["error"].to_string();
            assert!(error.contains("application/x-www-form-urlencoded"), "{error}");
        }
        let gzip = send(&app, "POST", path, &[FORM, ("Content-Encoding", "gzip")], "token=x");
        gzip.assert_error(415, "unsupported_encoding");
        assert_eq!(app.send_form(path, &[CREDENTIALS], &largest).status, 200);
        app.send_form(path, &[CREDENTIALS], format!("{largest}x")).assert_error(413, "body_too_large");
        let mut chunked = Connection::open(app.port());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\n{}: {}\r\n{}: {}\r\nTransfer-Encoding: chunked\r\n\r\n4001\r\n{largest}x\r\n0\r\n\r\n",
            FORM.0, FORM.1, CREDENTIALS.0, CREDENTIALS.1
        );
        let _ = chunked.write(head.as_bytes());
        chunked.read().unwrap().assert_error(413, "body_too_large");
    }
}

#[rstest]
fn only_post_is_allowed_and_no_query(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[RESOURCE_SERVERS]);
    for path in ROUTES {
        for method in ["GET", "PUT", "DELETE", "PATCH", "TRACE"] {
            let answer = send(&app, method, path, &[FORM], "token=x");
            answer.assert_error(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some("POST"), "{answer:?}");
        }
        assert_eq!(send(&app, "HEAD", path, &[], "").status, 405);
        let options = send(&app, "OPTIONS", path, &[], "");
        assert_eq!((options.status, options.header("allow")), (204, Some("POST")), "{options:?}");
        send(&app, "POST", &format!("{path}?token=x"), &[FORM], "").assert_error(400, "query_not_allowed");
        send(&app, "POST", &format!("{path}/"), &[FORM], "token=x").assert_error(404, "route_not_found");
    }
}
