//! What the application gets of a request, and paths that only look public.

use auth_service_token::Id;
use serde_json::Value;

use super::{Gateway, Site};
use crate::support::raw;

#[track_caller]
fn assert_intact(gateway: &Gateway, arrived: &Value, method: &str, target: &str, body: &str) {
    let found = [&arrived["method"], &arrived["target"], &arrived["digest"]];
    assert_eq!(found, [method, target, &Id::digest(body.as_bytes()).to_string()], "{:?} {arrived}", gateway.proxy);
}

#[test]
fn queries_and_bodies_reach_the_application_unchanged() {
    let site = Site::start();
    let large = "0123456789".repeat(10_000);
    let targets = [
        "/private?x=1&y=a%20b",
        "/private?next=%2e%2e%2fx&z=//a/../b",
        "/private/?access_token=a.b.c&access_token=d",
        "/a%20b/c?q=%C3%BC+&&=",
        "/private?",
    ];
    site.for_each(|gateway| {
        // All on one connection, as an application's client sends them.
        let mut connection = gateway.connect();
        let mut send = |bytes: &[u8]| {
            connection.write(bytes).unwrap();
            connection.read().unwrap_or_else(|| panic!("{:?} closed the connection", gateway.proxy))
        };
        for target in targets {
            let arrived = gateway.arrived(&send(&raw::request("GET", target, &site.token(), None)));
            // An empty query may go.
            let target = target.strip_suffix('?').filter(|_| arrived["target"] == "/private").unwrap_or(target);
            assert_intact(gateway, &arrived, "GET", target, "");
        }
        let encoded =
            [&site.token()[..], &[("Content-Encoding", "gzip"), ("Content-Type", "application/x-own")]].concat();
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            for body in ["{}", &large] {
                let arrived = gateway.arrived(&send(&raw::request(method, "/private?x", &encoded, Some(body))));
                assert_intact(gateway, &arrived, method, "/private?x", body);
            }
        }
        let chunked = [&site.token()[..], &[("Transfer-Encoding", "chunked")]].concat();
        let mut bytes = raw::request("POST", "/private", &chunked, None);
        for chunk in large.as_bytes().chunks(30_000) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            bytes.extend([chunk, b"\r\n"].concat());
        }
        bytes.extend(b"0\r\n\r\n");
        assert_intact(gateway, &gateway.arrived(&send(&bytes)), "POST", "/private", &large);
        let failed = gateway.get("/private/fails", &site.token());
        assert_eq!(
            (failed.status, failed.header("x-application")),
            (500, Some("yes")),
            "{:?} {failed:?}",
            gateway.proxy
        );
        let head = gateway.send("HEAD", "/private", &site.token(), None);
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{:?} {head:?}", gateway.proxy);
        // A token in the query is no token.
        let in_query = format!("/private?access_token={}", site.session.access_token);
        gateway.assert_refused(&gateway.get(&in_query, &[]), 401);
        // A request with a large body is refused without the body reaching anybody.
        gateway.assert_refused(&gateway.send("POST", "/private", &[], Some(&large)), 401);
    });
}

/// Targets that an application may read as `/private`, or that are not public at all.
const NOT_PUBLIC: [&str; 32] = [
    "/public",
    "/public/",
    "/publicx/y",
    "/PUBLIC/x",
    "/public/../private",
    "/public/x/../../private",
    "/public/./../private",
    "/public/..",
    "/public/.../x",
    "/public//private",
    "//public/x",
    "//private",
    "/./public/x",
    "/private/../public/x",
    "/public/..;/private",
    "/public/;/../private",
    "/public/%2e%2e/private",
    "/public/%2E./private",
    "/public/..%2fprivate",
    "/public/..%2Fprivate",
    "/public%2f..%2fprivate",
    "/public/%252e%252e/private",
    "/public/..\\private",
    "/public/..%5cprivate",
    "/public/%00/../private",
    "/%70ublic/x",
    "/public/x%0d%0aX-User-Id:%20forged",
    "/private?/public/x",
    "/private#/public/x",
    "/public/x#/../../private",
    "http://localhost/private",
    "http://localhost/public/../private",
];

/// The proxy must ask, or refuse the request, or pass on a target that is plainly public.
#[test]
fn no_spelling_of_another_path_is_public() {
    let site = Site::start();
    let plain = |target: &str| {
        target.starts_with("/public/") && !target.contains(['%', '\\', ';', '#']) && {
            target.split('/').skip(1).all(|segment| !segment.is_empty() && !segment.starts_with('.'))
        }
    };
    site.for_each(|gateway| {
        for target in NOT_PUBLIC {
            for headers in [&[][..], &[("X-Original-URL", "/public/x"), ("X-Forwarded-Uri", "/public/x")]] {
                let answer = gateway.get(target, headers);
                if answer.header("x-application").is_some() {
                    let arrived = answer.json();
                    assert!(plain(arrived["target"].as_str().unwrap()), "{:?} {target} {answer:?}", gateway.proxy);
                } else {
                    assert!((300..500).contains(&answer.status), "{:?} {target} {answer:?}", gateway.proxy);
                }
            }
        }
        for target in ["/public/x", "/public/a-b/c_d.html", "/public/x/", "/public/x?y=/../z", "/public/x?"] {
            gateway.arrived(&gateway.get(target, &[]));
        }
    });
}
