//! The log: one line for each request, and no text of the client.

use serde_json::{Value, json};

use crate::support::{CREDENTIALS, RESOURCE_SERVERS, Store, TestApp, raw, start_with_own_reader, wait_until};

/// Waits for the log lines of `count` requests, and asserts that there are no more.
fn request_lines(app: &TestApp, count: usize) -> Vec<Value> {
    // The server may write the last line after it has sent the answer.
    wait_until("each request is logged", || app.request_log().len() >= count);
    let lines = app.request_log();
    assert_eq!(lines.len(), count, "{lines:?}");
    lines
}

#[test]
fn a_health_check_is_logged_only_when_its_answer_changes() {
    let app = TestApp::start_with(Store::Embedded, &[("SHUTDOWN_DELAY_SECONDS", "60")]);
    let check = |path: &str| (0..5).map(|_| app.send("GET", path, &[], None).status).fold(0, |_, status| status);
    let request = |count| (0..count).for_each(|_| assert_eq!(app.send("GET", "/user", &[], None).status, 401));
    assert_eq!((check("/livez"), check("/readyz")), (200, 200));
    request(1);
    let shown = |line: &Value| {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        (text("level"), text("route"), line["status"].as_u64().unwrap(), text("code"))
    };
    let line =
        |level: &str, route: &str, status, code: &str| (level.to_owned(), route.to_owned(), status, code.to_owned());
    // The log keeps the order of its lines, so a later line shows that there is no earlier one.
    let mut expected = vec![
        line("INFO", "/livez", 200, ""),
        line("INFO", "/readyz", 200, ""),
        line("INFO", "/user", 401, "token_missing"),
    ];
    assert_eq!(request_lines(&app, expected.len()).iter().map(shown).collect::<Vec<_>>(), expected);
    app.terminate();
    wait_until("the server is not ready", || app.send("GET", "/readyz", &[], None).status == 503);
    assert_eq!((check("/livez"), check("/readyz")), (200, 503));
    // A request that is no health check has its line each time.
    assert_eq!(app.send("GET", "/readyz?x=y", &[], None).status, 400);
    assert_eq!(app.send("POST", "/livez", &[], None).status, 405);
    expected.push(line("WARN", "/readyz", 503, "shutting_down"));
    expected.push(line("INFO", "/readyz", 400, "query_not_allowed"));
    expected.push(line("INFO", "/livez", 405, "method_not_allowed"));
    assert_eq!(request_lines(&app, expected.len()).iter().map(shown).collect::<Vec<_>>(), expected);
}

#[test]
fn a_poll_of_the_revocation_feed_is_logged_only_when_the_outcome_changes() {
    let app = TestApp::start_with(Store::Embedded, &[RESOURCE_SERVERS]);
    let poll = |headers: &[(&str, &str)]| app.send("GET", "/revocations", &[&[CREDENTIALS], headers].concat(), None);
    wait_until("the feed is read", || poll(&[]).status == 200);
    let tag = poll(&[]).header("etag").unwrap().to_owned();
    let path = format!("/revocations?after={}", tag.trim_matches('"'));
    let same = app.send("GET", &path, &[CREDENTIALS, ("If-None-Match", &tag)], None);
    assert_eq!(same.status, 304, "{same:?}");
    poll(&[]);
    app.send("GET", "/revocations", &[], None).assert_error(401, "invalid_client");
    let logged = || app.request_log().iter().map(|line| line["status"].as_u64().unwrap()).collect::<Vec<_>>();
    // The log keeps the order of its lines, so all lines before this one are written.
    wait_until("the refusal is logged", || logged().contains(&401));
    assert_eq!(logged().iter().filter(|status| **status < 400).count(), 1, "{:?}", logged());
}

#[test]
fn all_health_checks_are_logged_at_level_debug() {
    let app = TestApp::start_with(Store::Embedded, &[("RUST_LOG", "auth_service=debug")]);
    for _ in 0..3 {
        assert_eq!(app.send("GET", "/livez", &[], None).status, 200);
    }
    let levels: Vec<_> = request_lines(&app, 3).iter().map(|line| line["level"].clone()).collect();
    assert_eq!(levels, ["INFO", "DEBUG", "DEBUG"]);
}

/// The method and the path of each request, and the route, status, method and code of its log line.
const REQUESTS: [(&str, &str, &str, u16, &str, &str); 11] = [
    ("GET", "/livez", "/livez", 200, "GET", ""),
    ("POST", "/signup", "/signup", 400, "POST", "invalid_json"),
    ("GET", "/user", "/user", 401, "GET", "token_missing"),
    ("GET", "/user?x=y", "/user", 400, "GET", "query_not_allowed"),
    ("PUT", "/user", "/user", 405, "PUT", "method_not_allowed"),
    ("HEAD", "/authenticate", "/authenticate", 405, "HEAD", "method_not_allowed"),
    ("BREW", "/livez", "/livez", 405, "OTHER", "method_not_allowed"),
    ("GET", "/nothing-here", "unmatched", 404, "GET", "route_not_found"),
    ("DELETE", "/user/7", "unmatched", 404, "DELETE", "route_not_found"),
    ("DELETE", "/sessions/of-a-client", "/sessions/{id}", 401, "DELETE", "token_missing"),
    ("DELETE", "/sessions/of/a-client", "unmatched", 404, "DELETE", "route_not_found"),
];

fn send_all(app: &TestApp) {
    for (n, (method, path, _, status, ..)) in REQUESTS.into_iter().enumerate() {
        let headers = [("X-Request-Id", &*format!("request-{n}")), ("Connection", "close")];
        assert_eq!(app.send(method, path, &headers, None).status, status, "{method} {path}");
    }
}

#[test]
fn each_request_is_one_json_line() {
    let app = TestApp::start(Store::Embedded);
    send_all(&app);
    let lines = request_lines(&app, REQUESTS.len());
    for (n, (line, (_, _, route, status, method, code))) in lines.iter().zip(REQUESTS).enumerate() {
        assert_eq!((&line["method"], &line["route"]), (&json!(method), &json!(route)), "{line}");
        assert_eq!((&line["status"], &line["request_id"]), (&json!(status), &json!(format!("request-{n}"))), "{line}");
        assert_eq!(line["code"].as_str().unwrap_or_default(), code, "{line}");
        assert!(line["duration_us"].as_u64().unwrap() < 10_000_000, "{line}");
        assert_eq!(line["level"], "INFO", "{line}");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    }
    // The server prints nothing but JSON.
    assert_eq!(app.log().len(), app.output().lines().count(), "{}", app.output());
}

#[test]
fn each_request_is_one_text_line() {
    let app = TestApp::start_with(Store::Embedded, &[("LOG_FORMAT", "text")]);
    send_all(&app);
    let lines = || app.output().lines().filter(|line| line.contains("request_id=")).map(str::to_owned).collect();
    wait_until("each request is logged", || Vec::<String>::len(&lines()) >= REQUESTS.len());
    let lines: Vec<String> = lines();
    assert_eq!(lines.len(), REQUESTS.len(), "{lines:?}");
    for (n, (line, (_, _, route, status, method, code))) in lines.iter().zip(REQUESTS).enumerate() {
        for field in [
            format!("method=\"{method}\""),
            format!("route=\"{route}\""),
            format!("status={status}"),
            format!("request_id=\"request-{n}\""),
            "duration_us=".to_owned(),
            " INFO ".to_owned(),
        ] {
            assert!(line.contains(&field), "{field} in {line}");
        }
        assert_eq!(line.contains("code="), !code.is_empty(), "{line}");
        assert!(!line.contains('\u{1b}'), "no colours without a terminal: {line}");
    }
}

#[test]
fn text_of_a_client_forges_no_log_line() {
    const FORGED: &str = "f0rged";
    for format in ["json", "text"] {
        let app = TestApp::start_with(Store::Embedded, &[("LOG_FORMAT", format), ("RUST_LOG", "trace")]);
        // The first report of a client address is warned of.
        app.send("GET", "/user", &[("Authorization", "x"), ("X-Forwarded-For", "192.0.2.1")], None);
        wait_until("the request is logged", || app.output().contains("request_id"));
        let before = app.output().lines().count();
        let mut sent = 0;
        for evil in
            ["\r\n", "\n", "\r", "\u{1b}[2K\u{1b}[1A", "\u{2028}", "\u{2029}", "\u{85}", "\u{202e}", "\"}", "\0"]
        {
            let text = format!("{evil}{{\"level\":\"ERROR\",\"message\":\"{FORGED}\"}}");
            let body = json!({"email": format!("a{text}@example.com"), "password": text, "refresh_token": text});
            let body = body.to_string();
            let path: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let path = format!("/{FORGED}{path}");
            // The characters that a header or a request line may contain.
            let printable: String = text.chars().filter(|c| !c.is_control() || *c == '\u{85}').collect();
            let bare = format!("/{}", printable.replace(['"', ' '], ""));
            let headers: [(&str, &str); 5] = [
                ("User-Agent", &printable),
                ("X-Request-Id", &printable),
                ("Referer", &printable),
                ("X-Forwarded-For", &printable),
                ("Authorization", &printable),
            ];
            for (method, path) in [
                ("POST", "/signup"),
                ("GET", "/authenticate"),
                ("GET", "/user"),
                ("POST", "/refresh-access-token"),
                ("DELETE", "/access-token"),
                ("GET", path.as_str()),
                ("GET", bare.as_str()),
                (FORGED, "/user"),
            ] {
                let answer = app.send(method, path, &headers, Some(&body));
                assert!((400..=499).contains(&answer.status), "{method} {path} {answer:?}");
                sent += 1;
            }
        }
        let requests = |line: &&str| line.contains("request_id");
        wait_until("each request is logged", || app.output().lines().filter(requests).count() > sent);
        let output = app.output();
        assert!(!output.contains(FORGED), "{output}");
        assert_eq!(output.lines().count(), before + sent, "{output}");
        assert!(!output.contains(['\u{1b}', '\r', '\u{2028}', '\u{2029}', '\u{85}', '\u{202e}', '\0']), "{output}");
        if format == "json" {
            assert_eq!(app.log().len(), before + sent, "{output}");
        }
    }
}

fn statuses(port: u16, requests: usize) -> Vec<Option<u16>> {
    let request = raw::request("GET", "/user", &[], None);
    (0..requests).map(|_| raw::exchange(port, &request).map(|answer| answer.status)).collect()
}

#[test]
fn requests_are_served_after_the_reader_of_the_log_has_gone() {
    let directory = tempfile::tempdir().unwrap();
    let (mut server, log, port) = start_with_own_reader(directory.path(), &[]);
    // From here on, both pipes are broken.
    drop((log, server.child().stderr.take()));
    assert_eq!(statuses(port, 3), [Some(401); 3]);
    assert_eq!(server.status(), None, "the server still runs");
}

#[test]
fn requests_are_served_while_the_reader_of_the_log_stalls() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, _log, port) = start_with_own_reader(directory.path(), &[]);
    // A pipe holds 64 KiB, and the log of these requests is far larger.
    assert_eq!(statuses(port, 1_000), [Some(401); 1_000]);
}
