//! Spellings of a path and of a query that mean the same.

use serde_json::json;

use super::requests::ROUTES;
use crate::support::{Store, TestApp};

/// The target with each character encoded that a client may encode without a change of the meaning.
fn encoded(target: &str) -> String {
    let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    target.chars().map(|c| if unreserved(c) { format!("%{:02x}", u32::from(c)) } else { c.into() }).collect()
}

/// RFC 3986, section 6.2.2.2.
#[test]
fn an_encoded_letter_is_that_letter() {
    let app = TestApp::start(Store::Embedded);
    let session = app.new_session();
    let token = session.access_token.as_str();
    for (path, allow) in ROUTES {
        let whole = app.send("OPTIONS", &encoded(path), &[], None);
        assert_eq!((whole.status, whole.header("allow")), (204, Some(allow)), "{path}");
        let upper = app.send("OPTIONS", &encoded(path).to_uppercase(), &[], None);
        assert_eq!((upper.status, upper.header("allow")), (204, Some(allow)), "{path}");
    }
    for path in ["/%75ser", "/us%65r", "http://localhost/%75ser"] {
        let profile = app.send("GET", path, &[("Authorization", token)], None);
        assert_eq!((profile.status, &profile.json()["data"]["email"]), (200, &json!(session.email)), "{path}");
    }
    app.send("GET", "/%75ser?%78=y", &[("Authorization", token)], None).assert_error(400, "query_not_allowed");
    for query in ["?%6cimit=1", "?limit=%31", "?%6C%69%6D%69%74=%31"] {
        let page = app.send("GET", &format!("/sessions{query}"), &[("Authorization", token)], None);
        assert_eq!((page.status, page.json()["data"].as_array().unwrap().len()), (200, 1), "{query}");
    }
    let ended = app.send("DELETE", &format!("/sessions/{}", encoded(&session.id())), &[("Authorization", token)], None);
    ended.assert(200, &json!({"result": "Session ended"}));
    let routes: Vec<_> = app.request_log().iter().map(|line| line["route"].as_str().unwrap().to_owned()).collect();
    assert!(routes.iter().all(|route| !route.contains('%') && route != "unmatched"), "{routes:?}");
}

#[test]
fn an_encoded_slash_or_percent_sign_is_not_decoded() {
    let app = TestApp::start(Store::Embedded);
    for path in [
        "/%2575ser",
        "/%2Fuser",
        "%2Fuser",
        "/user%2F",
        "/user%2Fpassword",
        "/user%3Fx",
        "/user%00",
        "/user%20",
        "/user%",
        "/user%7",
        "/%7gser",
        "/%+5user",
        "/%55ser",
        "/%E2%80%AEuser",
        "/user/%2e%2E",
        "/%2E/user",
    ] {
        let answer = app.send("GET", path, &[], None);
        if path.starts_with('/') {
            answer.assert_error(404, "route_not_found");
        } else {
            assert_eq!(answer.status, 400, "{path} {answer:?}");
        }
    }
}

#[test]
fn an_empty_query_is_no_query() {
    let app = TestApp::start(Store::Embedded);
    let token = app.new_session().access_token;
    for (method, path, status) in [
        ("GET", "/user?", 200),
        ("GET", "/sessions?", 200),
        ("GET", "/livez?", 200),
        ("HEAD", "/livez?", 200),
        ("GET", "/readyz?", 200),
        ("OPTIONS", "/user?", 204),
        ("POST", "/signup?", 400),
        ("POST", "/authenticate?", 400),
        ("POST", "/refresh-access-token?", 400),
        ("PUT", "/user/password?", 400),
        ("DELETE", "/user?", 400),
        ("DELETE", "/sessions/AAAAAAAAAAAAAAAAAAAAAA?", 404),
        ("DELETE", "/sessions?", 200),
        ("GET", "/nothing-here?", 404),
    ] {
        let body = (status == 400).then_some("{}");
        let answer = app.send(method, path, &[("Authorization", &token)], body);
        assert_eq!(answer.status, status, "{method} {path} {answer:?}");
        if status == 400 {
            assert_eq!(answer.json()["code"], "validation_failed", "{method} {path} {answer:?}");
        }
    }
}
