//! The client's address: that of the peer, or the one that a trusted proxy reports.

use serde_json::json;

use crate::support::{PASSWORD, Store, TestApp, assert_says, refused_in, unique_email, wait_until};

/// Signs in with these headers, and returns the address in the list of sessions.
fn listed_ip(app: &TestApp, headers: &[(&str, &str)]) -> String {
    let body = json!({"email": unique_email(), "password": PASSWORD}).to_string();
    assert_eq!(app.send("POST", "/signup", &[], Some(&body)).status, 201);
    let answer = app.send("POST", "/authenticate", headers, Some(&body)).json();
    let sessions = app.send("GET", "/sessions", &[("Authorization", answer["access_token"].as_str().unwrap())], None);
    sessions.json()["data"][0]["ip"].as_str().unwrap().to_owned()
}

#[test]
fn forwarding_headers_of_an_untrusted_peer_are_ignored() {
    for proxies in ["", "10.0.0.0/8"] {
        let app = TestApp::start_with(Store::Embedded, &[("TRUSTED_PROXIES", proxies)]);
        for header in [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1"), ("X-Real-IP", "192.0.2.1")] {
            assert_eq!(listed_ip(&app, &[header]), "127.0.0.1", "{header:?} with TRUSTED_PROXIES={proxies}");
        }
    }
}

#[test]
fn the_client_is_the_rightmost_address_that_is_not_a_trusted_proxy() {
    let app = TestApp::start_with(Store::Embedded, &[("TRUSTED_PROXIES", "127.0.0.0/8, 10.1.2.3")]);
    for (headers, expected) in [
        (&[("X-Forwarded-For", "192.0.2.1")][..], "192.0.2.1"),
        (&[("X-Forwarded-For", "6.6.6.6, 192.0.2.2, 10.1.2.3")], "192.0.2.2"),
        (&[("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "192.0.2.3")], "192.0.2.3"),
        (&[("X-Forwarded-For", "192.0.2.5, <script>")], "127.0.0.1"),
        (&[("X-Forwarded-For", "::ffff:192.0.2.6")], "192.0.2.6"),
        (&[("X-Forwarded-For", "192.0.2.7"), ("Forwarded", "for=6.6.6.6")], "192.0.2.7"),
        (&[("Forwarded", "for=6.6.6.6")], "127.0.0.1"),
    ] {
        assert_eq!(listed_ip(&app, headers), expected, "{headers:?}");
    }
}

#[test]
fn the_header_of_the_proxy_is_a_setting_and_the_other_is_ignored() {
    let settings = [("TRUSTED_PROXIES", "127.0.0.0/8"), ("CLIENT_ADDRESS_HEADER", "Forwarded")];
    let app = TestApp::start_with(Store::Embedded, &settings);
    for (headers, expected) in [
        (&[("Forwarded", "for=6.6.6.6, For=\"[2001:db8::4]:443\";proto=https")][..], "2001:db8::4"),
        (&[("X-Forwarded-For", "6.6.6.6"), ("Forwarded", "for=192.0.2.8")], "192.0.2.8"),
        (&[("X-Forwarded-For", "6.6.6.6")], "127.0.0.1"),
    ] {
        assert_eq!(listed_ip(&app, headers), expected, "{headers:?}");
    }
}

/// Sends the headers on every worker, more than once, and returns the messages of the warnings in the log.
fn warnings_after(settings: &[(&str, &str)], headers: &[(&str, &str)]) -> Vec<String> {
    let app = TestApp::start_with(Store::Embedded, settings);
    for _ in 0..32 {
        assert_eq!(app.send("GET", "/sessions", headers, None).status, 401);
    }
    // The log keeps the order of its lines.
    wait_until("all requests are logged", || app.request_log().len() == 32);
    let lines = app.log().into_iter().filter(|line| line["level"] == "WARN" && line["target"] != "audit");
    lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn reports_that_do_not_count_are_warned_of_once() {
    let token = ("Authorization", "not a token");
    for header in [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")] {
        let warnings = warnings_after(&[("TRUSTED_PROXIES", "10.0.0.0/8")], &[token, header]);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_says(&warnings[0], &["a request from 127.0.0.1", "name it in TRUSTED_PROXIES"]);
        assert!(!warnings[0].contains("192.0.2.1"), "{warnings:?}");
    }
    let trusted = ("TRUSTED_PROXIES", "127.0.0.1");
    let warnings = warnings_after(&[trusted], &[token, ("Forwarded", "for=192.0.2.1")]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_says(&warnings[0], &["the trusted proxy 127.0.0.1 has Forwarded", "set CLIENT_ADDRESS_HEADER=Forwarded"]);
    for headers in [&[token][..], &[token, ("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")]] {
        assert_eq!(warnings_after(&[trusted], headers), [""; 0]);
    }
}

#[test]
fn wrong_networks_stop_the_start() {
    let directory = tempfile::tempdir().unwrap();
    for wrong in ["nonsense", "10.0.0.0/33", "10.0.0.1,,x"] {
        let (status, said) = refused_in(directory.path(), &[("TRUSTED_PROXIES", wrong)]);
        assert_eq!(status, 2, "{said}");
        assert!(said.contains("TRUSTED_PROXIES must be networks such as 10.0.0.0/8"), "{said}");
    }
}

#[test]
fn networks_of_everything_stop_the_start() {
    let directory = tempfile::tempdir().unwrap();
    for wide in ["0.0.0.0/0", "::/0", "10.0.0.0/8,0.0.0.0/1,128.0.0.0/1", "2000::/3", "::ffff:0:0/96"] {
        let (status, said) = refused_in(directory.path(), &[("TRUSTED_PROXIES", wide)]);
        assert_eq!(status, 2, "{said}");
        assert_says(
            &said,
            &["TRUSTED_PROXIES must not hold networks wider than /8", "networks of your load balancers"],
        );
    }
}
