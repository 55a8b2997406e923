//! The page `/docs` and its files.

use crate::support::{Answer, RedisServer, Store, TestApp, refused, wait_until};

/// The whole policy, so that the test fails if the policy changes.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn get(app: &TestApp, path: &str) -> Answer {
    app.send("GET", path, &[], None)
}

/// The addresses that the page names, below the address of the page.
fn references(page: &str) -> Vec<String> {
    let attributes =
        page.split(&[' ', '>']).filter_map(|part| part.strip_prefix("href=").or(part.strip_prefix("src=")));
    attributes.map(|address| address.trim_matches('"').to_owned()).collect()
}

#[test]
fn the_page_names_files_of_this_server_only() {
    let app = TestApp::start(Store::Embedded);
    let references = references(&get(&app, "/docs").body);
    let files = ["docs/swagger-ui.css", "docs/page.css", "docs/swagger-ui-bundle.js", "docs/page.js"];
    assert_eq!(references, [&["data:,"], &files[..], &["openapi.json"]].concat());
}

#[test]
fn caches_may_keep_the_page_and_its_files() {
    let app = TestApp::start(Store::Embedded);
    for (path, media_type, text) in [
        ("/docs", "text/html", "<!doctype html>"),
        ("/docs/page.js", "text/javascript", "SwaggerUIBundle({"),
        ("/docs/page.css", "text/css", "color-scheme"),
        ("/docs/swagger-ui-bundle.js", "text/javascript", "SwaggerUIBundle"),
        ("/docs/swagger-ui.css", "text/css", ".swagger-ui"),
    ] {
        let answer = get(&app, path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body.contains(text), "{path}");
        assert_eq!(answer.header("content-type"), Some(&*format!("{media_type}; charset=utf-8")), "{path}");
        assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()), "{path}");
        let tag = answer.header("etag").unwrap();
        let head = app.send("HEAD", path, &[], None);
        assert_eq!((head.status, &*head.body), (200, ""), "{path}");
        assert_eq!(head.header("content-length"), answer.header("content-length"), "{path}");
        let same = app.send("GET", path, &[("If-None-Match", tag)], None);
        assert_eq!((same.status, &*same.body), (304, ""), "{path}");
        for answer in [&answer, &head, &same] {
            for (name, value) in [
                ("content-security-policy", Some(POLICY)),
                ("x-content-type-options", Some("nosniff")),
                ("referrer-policy", Some("no-referrer")),
                ("cache-control", Some("public, max-age=300")),
                ("vary", Some("Accept-Encoding")),
                ("etag", Some(tag)),
                // A cache would give the id of one request to other clients.
                ("x-request-id", None),
            ] {
                assert_eq!(answer.header(name), value, "{path}: {name}");
            }
        }
    }
}

/// The client of the tests reads bodies as text, so HEAD gets the headers of the compressed file.
#[test]
fn clients_that_accept_gzip_get_the_large_files_compressed() {
    let app = TestApp::start(Store::Embedded);
    let head = |path: &str, coding: &str| app.send("HEAD", path, &[("Accept-Encoding", coding)], None);
    let length = |answer: &Answer| answer.header("content-length").unwrap().parse::<u64>().unwrap();
    for path in ["/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"] {
        let (gzip, plain) = (head(path, "br, gzip"), head(path, "br, gzip;q=0"));
        assert_eq!((gzip.header("content-encoding"), plain.header("content-encoding")), (Some("gzip"), None), "{path}");
        assert!(length(&gzip) * 3 < length(&plain), "{path}: {gzip:?}, {plain:?}");
        let tags = [gzip, plain].map(|answer| answer.header("etag").unwrap().to_owned());
        assert_ne!(tags[0], tags[1], "{path}");
        let same = app.send("GET", path, &[("Accept-Encoding", "gzip"), ("If-None-Match", &tags[0])], None);
        assert_eq!((same.status, same.header("content-encoding")), (304, Some("gzip")), "{path}");
    }
    assert_eq!(head("/docs/page.js", "gzip").header("content-encoding"), None);
}

#[test]
fn the_routes_follow_the_rules_for_every_route() {
    let app = TestApp::start(Store::Embedded);
    for path in ["/docs", "/docs/page.js"] {
        let refused = app.send("POST", path, &[], Some("{}"));
        refused.assert_error(405, "method_not_allowed");
        let options = app.send("OPTIONS", path, &[], None);
        assert_eq!(options.status, 204, "{options:?}");
        for answer in [refused, options] {
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{answer:?}");
        }
        get(&app, &format!("{path}?url=x")).assert_error(400, "query_not_allowed");
    }
    for path in
        ["/docs/", "/docs/index.html", "/docs/page.html", "/docs/page.js/", "/docs/..", "/docs/x/page.js", "/Docs"]
    {
        get(&app, path).assert_error(404, "route_not_found");
    }
}

#[test]
fn the_page_needs_no_store() {
    let mut redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    redis.kill();
    wait_until("the server notices the outage", || get(&app, "/readyz").status == 503);
    for path in ["/docs", "/docs/page.js", "/openapi.json"] {
        assert_eq!(get(&app, path).status, 200, "{path}");
    }
}

#[test]
fn docs_off_removes_the_page_and_its_files() {
    let app = TestApp::start_with(Store::Embedded, &[("DOCS", "off")]);
    for path in ["/docs", "/docs/page.js", "/docs/swagger-ui-bundle.js"] {
        for method in ["GET", "POST", "OPTIONS"] {
            app.send(method, path, &[], None).assert_error(404, "route_not_found");
        }
    }
    let documented = |app: &TestApp| get(app, "/openapi.json").json()["paths"]["/docs"].is_object();
    assert!(!documented(&app));
    let app = TestApp::start_with(Store::Embedded, &[("DOCS", "on")]);
    assert!(documented(&app));
    assert_eq!(get(&app, "/docs").status, 200);
}

#[test]
fn other_values_of_docs_stop_the_start() {
    let text = refused(&[("DOCS", "no")]);
    assert!(text.contains("DOCS must be one of: on, off\n"), "{text}");
}
