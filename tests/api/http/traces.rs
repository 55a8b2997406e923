//! Traces: `traceparent` of a request is in its log line, its audit line and its answer.

use serde_json::{Value, json};

use crate::support::{Answer, Store::Embedded, TestApp, unique_email, wait_until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// The lines with this target of the request that got this answer.
fn lines_of(app: &TestApp, answer: &Answer, is_audit: bool) -> Vec<Value> {
    let id = answer.header("x-request-id").unwrap();
    let of_request = |line: &Value| line["request_id"] == id && (line["target"] == "audit") == is_audit;
    wait_until("the request is logged", || app.log().iter().any(of_request));
    app.log().into_iter().filter(of_request).collect()
}

fn assert_in_lines(app: &TestApp, answer: &Answer, is_audit: bool, trace: Option<(&str, &str)>) {
    let lines = lines_of(app, answer, is_audit);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (trace_id, span_id) = trace.unzip();
    assert_eq!((lines[0]["trace_id"].as_str(), lines[0]["span_id"].as_str()), (trace_id, span_id), "{lines:?}");
}

#[test]
fn a_trace_is_in_the_answer_the_log_line_and_the_audit_line() {
    let app = TestApp::start(Embedded);
    let body = json!({"email": unique_email(), "password": "correct horse"}).to_string();
    let sent = format!("00-{TRACE}-{SPAN}-01");
    let sign_up = |headers: &[(&str, &str)]| app.send("POST", "/signup", headers, Some(&body));

    let answer = sign_up(&[("traceparent", &sent), ("tracestate", "vendor=value")]);
    assert_eq!((answer.status, answer.header("traceresponse")), (201, Some(&*sent)), "{answer:?}");
    assert_eq!((answer.header("traceparent"), answer.header("tracestate")), (None, None), "{answer:?}");
    assert_in_lines(&app, &answer, false, Some((TRACE, SPAN)));
    assert_in_lines(&app, &answer, true, Some((TRACE, SPAN)));

    let later = format!("cc-{TRACE}-{SPAN}-ff-a-later-version");
    let answer = sign_up(&[("TraceParent", &later)]);
    assert_eq!(answer.header("traceresponse"), Some(&*format!("00-{TRACE}-{SPAN}-03")), "{answer:?}");
    answer.assert_error(409, "email_taken");
    assert_in_lines(&app, &answer, false, Some((TRACE, SPAN)));

    let answer = sign_up(&[]);
    assert_eq!(answer.header("traceresponse"), None, "{answer:?}");
    assert_in_lines(&app, &answer, false, None);
    assert!(!app.output().contains("vendor=value"), "{}", app.output());
}

#[test]
fn errors_of_every_kind_have_the_trace() {
    let app = TestApp::start(Embedded);
    let sent = format!("00-{TRACE}-{SPAN}-00");
    let trace = ("traceparent", &*sent);
    let long = "x".repeat(20_000);
    let gzip = Some(("Content-Encoding", "gzip"));
    let cases = [
        ("GET", "/user", None, None, 401),
        ("GET", "/no-such-route", None, None, 404),
        ("PUT", "/signup", None, None, 405),
        ("POST", "/signup", None, Some(&*long), 413),
        ("POST", "/signup", gzip, Some("{}"), 415),
        ("GET", "/forward-auth/page", None, None, 401),
    ];
    for (method, path, header, body, status) in cases {
        let headers: Vec<_> = [Some(trace), header].into_iter().flatten().collect();
        let answer = app.send(method, path, &headers, body);
        assert_eq!(
            (answer.status, answer.header("traceresponse")),
            (status, Some(&*sent)),
            "{method} {path}: {answer:?}"
        );
        assert_in_lines(&app, &answer, false, Some((TRACE, SPAN)));
    }
    // A cache may give this answer to other callers.
    let answer = app.send("GET", "/.well-known/jwks.json", &[trace], None);
    assert_eq!((answer.status, answer.header("traceresponse")), (200, None), "{answer:?}");
}

#[test]
fn a_header_that_is_not_valid_changes_nothing() {
    let app = TestApp::start(Embedded);
    let valid = format!("00-{TRACE}-{SPAN}-01");
    let invalid = [
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("00-{}-{SPAN}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("{valid}-more"),
        format!("{valid},{valid}"),
        "x".repeat(8000),
        "\"forged\":1".to_owned(),
        String::new(),
    ];
    let mut requests: Vec<Vec<(&str, &str)>> = invalid.iter().map(|text| vec![("traceparent", &**text)]).collect();
    requests.push(vec![("traceparent", &valid), ("traceparent", &valid)]);
    for headers in requests {
        let answer = app.send("GET", "/user", &headers, None);
        answer.assert_error(401, "token_missing");
        assert_eq!(answer.header("traceresponse"), None, "{headers:?}");
        assert_in_lines(&app, &answer, false, None);
    }
    assert!(!app.output().contains("forged"), "{}", app.output());
}
