//! HAProxy with the shipped configuration: what it tells the server about a client, what it logs, and its own errors.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::{
    site::Site,
    support::{Answer, Connection, PASSWORD, new_session, not_beside_load, raw, wait_until},
};

/// Signs in on this connection with these headers. Returns the address that the server has recorded.
fn address_of_sign_in(site: &Site, connection: &mut Connection, headers: &[(&str, &str)]) -> Value {
    let session = new_session(site.port);
    let account = json!({"email": session.email, "password": PASSWORD}).to_string();
    let headers = [&[("Content-Type", "application/json")], headers].concat();
    connection.write(&raw::request("POST", "/authenticate", &headers, Some(&account))).unwrap();
    let answer = connection.read().unwrap().json();
    let access_token = answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let sessions = site.send("GET", "/sessions", &[("Authorization", access_token)], None).json();
    sessions["data"][0]["ip"].clone()
}

#[test]
fn forged_headers_do_not_change_the_address_of_the_client() {
    // The lists of compose are empty by default.
    for lists in [&[][..], &[("FRONT_PROXIES", ""), ("CORS_ORIGINS", "")], &[("FRONT_PROXIES", "192.0.2.0/24")]] {
        let site = Site::start_with(not_beside_load(), 1, lists);
        let mut connection = Connection::open_at(("::1", site.port)).unwrap();
        let forged = [("X-Forwarded-For", "203.0.113.7"), ("Forwarded", "for=203.0.113.7")];
        assert_eq!(address_of_sign_in(&site, &mut connection, &forged), "::1");
    }
}

#[test]
fn a_proxy_in_front_names_the_client_if_its_network_is_named() {
    let site = Site::start_with(not_beside_load(), 1, &[("FRONT_PROXIES", "127.0.0.5 127.0.1.0/24 ::1")]);
    for front in [Ipv4Addr::new(127, 0, 0, 5), Ipv4Addr::new(127, 0, 1, 9)] {
        let mut connection = Connection::open_from(front, site.port);
        // Requests of several clients share a connection.
        for (headers, client) in [
            (&[("X-Forwarded-For", "198.51.100.4")][..], "198.51.100.4"),
            (&[("X-Forwarded-For", "203.0.113.7, 127.0.0.5, 198.51.100.5")], "198.51.100.5"),
            (&[("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-For", "2001:db8::6")], "2001:db8::6"),
            (&[("X-Forwarded-For", "10.1.2.3"), ("Forwarded", "for=203.0.113.7")], "10.1.2.3"),
            (&[("X-Forwarded-For", "203.0.113.7, unknown")], &front.to_string()),
            (&[], &front.to_string()),
        ] {
            assert_eq!(address_of_sign_in(&site, &mut connection, headers), client, "{headers:?}");
        }
    }
    let mut stranger = Connection::open_from(Ipv4Addr::new(127, 0, 0, 6), site.port);
    let forged = [("X-Forwarded-For", "203.0.113.7")];
    assert_eq!(address_of_sign_in(&site, &mut stranger, &forged), "127.0.0.6");
    wait_until("the log has the addresses of the clients", || {
        let log = site.log.lock().unwrap().join("\n");
        ["198.51.100.4", "2001:db8::6", "127.0.0.6"].iter().all(|a| log.contains(&format!(r#""address":"{a}""#)))
    });
}

#[test]
fn a_get_request_with_a_body_passes_and_no_secret_is_logged() {
    let site = Site::start_with(not_beside_load(), 1, &[]);
    let session = new_session(site.port);
    let account = json!({"email": session.email, "password": PASSWORD}).to_string();
    let json = ("Content-Type", "application/json");
    let answer = site.send("GET", "/authenticate", &[json, ("X-Request-Id", "first-1")], Some(&account));
    assert_eq!((answer.status, answer.header("x-request-id")), (200, Some("first-1")), "{answer:?}");
    let in_url = format!("/user?token={}", session.access_token);
    assert_eq!(site.send("GET", &in_url, &[("X-Request-Id", "last-1")], None).status, 400);
    wait_until("both requests are logged", || {
        let log = site.log.lock().unwrap().join("\n");
        log.contains("first-1") && log.contains("last-1")
    });
    let log = site.log.lock().unwrap().join("\n");
    for secret in [PASSWORD, &session.email, &session.access_token, &session.refresh_token] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn without_a_replica_the_answer_is_503_in_the_form_of_the_api() {
    let mut site = Site::start_with(not_beside_load(), 1, &[]);
    site.stop_replica(0);
    let answer = site.send("GET", "/user", &[("X-Request-Id", "mine")], None);
    assert_eq!(answer.header("x-request-id"), Some("mine"), "{answer:?}");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    assert_eq!(answer.json()["code"], "no_server_ready");
}

/// Whatever a client sends, each of its requests has one line, and each line has the same fields.
#[test]
fn no_client_can_forge_a_line_of_the_log() {
    let site = Site::start_with(not_beside_load(), 1, &[]);
    let forgery = r#"x","status":200,"forged":"yes"#;
    let behind_comma = format!("good,{forgery}");
    let long = "x".repeat(65);
    let ids: [&[&str]; 7] = [
        &[forgery],
        &[&behind_comma],
        &["good", forgery],
        &[forgery, "good"],
        &["good", "good"],
        &[&long],
        &["\u{1b}[31m"],
    ];
    for ids in ids {
        let headers: Vec<_> = ids.iter().map(|id| ("X-Request-Id", *id)).collect();
        let answer = site.send("GET", "/nowhere", &headers, None);
        let id = answer.header("x-request-id").unwrap();
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !ids.contains(&id), "{answer:?}");
    }
    let paths = [r#"/","status":200,"forged":"yes"#.to_owned(), "/\\".to_owned(), format!("/{}", "\"".repeat(9_000))];
    for path in &paths {
        assert_eq!(site.send("GET", path, &[], None).status, 404);
    }
    let methods = ["X".repeat(9_000), "'|`".to_owned()];
    for method in &methods {
        site.send(method, "/nowhere", &[], None);
    }
    site.send("GET", "/nowhere", &[("X-Request-Id", "last-1")], None);
    let requests = || -> Vec<String> {
        let log = site.log.lock().unwrap();
        log.iter().filter(|line| line.starts_with('{') && line.contains("replica")).cloned().collect()
    };
    wait_until("the last request is logged", || requests().iter().any(|line| line.contains("last-1")));
    let lines = requests();
    assert!(lines.len() > ids.len() + paths.len() + methods.len(), "{lines:#?}");
    for line in lines {
        let fields: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let names: Vec<_> = fields.as_object().unwrap().keys().map(String::as_str).collect();
        let all = ["address", "duration_ms", "end", "method", "path", "request_id", "retries", "server", "status"];
        assert_eq!(names, all, "{line}");
        assert!(fields["status"].as_u64().unwrap() >= 400, "{line}");
    }
}

/// HAProxy 2.6 sends a page of its own for a head that it cannot read, so the test checks only the status there.
#[test]
fn haproxy_refuses_what_it_cannot_read() {
    let site = Site::start_with(not_beside_load(), 1, &[]);
    let head = |line: &str, headers: &str| format!("{line}\r\nHost: localhost\r\n{headers}\r\n").into_bytes();
    let long = "x".repeat(20_000);
    for (request, status) in [
        (b"nonsense\r\n\r\n".to_vec(), 400),
        (head("GET / HTTP/1.1", "a header: x\r\n"), 400),
        (head(&format!("GET /{long} HTTP/1.1"), ""), 400),
        (head("GET / HTTP/1.1", &format!("Refresh-Token: {long}\r\n")), 400),
        (head("POST / HTTP/1.1", "Content-Length: 1\r\nContent-Length: 2\r\n"), 400),
        (head("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked\r\n"), 422),
    ] {
        let answer = raw::exchange(site.port, &request).unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let log = site.replicas[0].1.output();
    assert!(!log.contains("nonsense") && !log.contains(&long), "{log}");
}

#[test]
fn pages_of_named_origins_read_errors_of_haproxy() {
    const ALLOWED: &str = "access-control-allow-origin";
    let asks = |site: &Site, origins: &[&str]| -> Answer {
        let headers: Vec<_> = origins.iter().map(|origin| ("Origin", *origin)).collect();
        let answer = site.send("GET", "/user", &headers, None);
        answer.assert_error(503, "no_server_ready");
        answer
    };
    let list = "https://app.example.com, http://localhost:5173,capacitor://localhost";
    let site = Site::start_with(not_beside_load(), 0, &[("CORS_ORIGINS", list)]);
    for origin in list.split(',').map(str::trim) {
        let answer = asks(&site, &[origin]);
        assert_eq!((answer.header(ALLOWED), answer.header("vary")), (Some(origin), Some("Origin")), "{answer:?}");
        let exposed = answer.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("Retry-After") && exposed.contains("X-Request-Id"), "{answer:?}");
    }
    let others = ["https://evil.example.com", "https://app.example.co", "app.example.com", "null", list, "", ".*", "|"];
    for origin in others {
        assert_eq!(asks(&site, &[origin]).header(ALLOWED), None, "{origin}");
    }
    assert_eq!(asks(&site, &["https://evil.example.com", "https://app.example.com"]).header(ALLOWED), None);
    drop(site);
    for (list, allowed) in [("", None), ("*", Some("https://app.example.com"))] {
        let site = Site::start_with(not_beside_load(), 0, &[("CORS_ORIGINS", list)]);
        assert_eq!(asks(&site, &["https://app.example.com"]).header(ALLOWED), allowed, "{list:?}");
    }
}
