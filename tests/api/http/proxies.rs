//! The client's address: that of the peer, or the one that a trusted proxy reports.

use serde_json::json;

use crate::support::{PASSWORD, Store, TestApp, refused_in, unique_email};

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
        (&[("Forwarded", "for=6.6.6.6, For=\"[2001:db8::4]:443\";proto=https")], "2001:db8::4"),
        (&[("X-Forwarded-For", "192.0.2.5, <script>")], "127.0.0.1"),
        (&[("X-Forwarded-For", "::ffff:192.0.2.6")], "192.0.2.6"),
        (&[("X-Forwarded-For", "192.0.2.7"), ("Forwarded", "for=6.6.6.6")], "127.0.0.1"),
    ] {
        assert_eq!(listed_ip(&app, headers), expected, "{headers:?}");
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
