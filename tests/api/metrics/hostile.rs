//! Hostile traffic makes few series, and no text of a client becomes a label.

use crate::support::{Connection, MAILS, METRICS, RESOURCE_SERVERS, Store, TestApp, raw};

const METHODS: [&str; 12] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "planted", "PLANTED"];
/// The routes, with a value in place of each parameter, and paths without a route.
const PATHS: [&str; 36] = [
    "/signup",
    "/authenticate",
    "/authenticate/totp",
    "/refresh-access-token",
    "/access-token",
    "/user",
    "/user/password",
    "/user/totp",
    "/user/totp/confirm",
    "/user/email",
    "/password/forgot",
    "/password/reset",
    "/email/verification",
    "/email/verify",
    "/sessions",
    "/sessions/planted",
    "/signout",
    "/introspect",
    "/revoke",
    "/revocations",
    "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/planted",
    "/livez",
    "/readyz",
    "/forward-auth",
    "/forward-auth/",
    "/forward-auth/planted",
    "/openapi.json",
    "/docs",
    "/docs/planted",
    "/metrics",
    "/planted",
    "/%70lanted/%00",
    "*",
    "//planted?planted=planted",
];

/// Wrong headers of several kinds, and valid headers that let a handler continue.
fn hostile_headers() -> Vec<Vec<(&'static str, &'static str)>> {
    let json = ("Content-Type", "application/json");
    vec![
        vec![],
        vec![("Content-Encoding", "planted")],
        vec![("Transfer-Encoding", "planted, chunked")],
        vec![("Host", "planted")],
        vec![("x", "planted"); 70],
        vec![("Authorization", "planted")],
        vec![("Authorization", "Basic cGxhbnRlZDpwbGFudGVk")],
        vec![("Authorization", "Bearer planted.planted.planted"), ("Refresh-Token", "planted")],
        vec![("Authorization", "planted"), ("Authorization", "planted")],
        vec![("Content-Type", "text/planted"), ("Content-Length", "0")],
        vec![json, ("Content-Length", "99999")],
        vec![json, ("Content-Length", "0")],
        vec![("Origin", "http://planted"), ("Access-Control-Request-Method", "PLANTED")],
        vec![("X-Forwarded-For", "planted"), ("X-Request-Id", "planted"), ("User-Agent", "planted")],
    ]
}

#[test]
fn hostile_traffic_makes_few_series_and_none_has_its_text() {
    let settings = [METRICS, RESOURCE_SERVERS, ("ISSUER", "https://auth.example.com"), ("SIGNUP_LIMIT_PER_HOUR", "1")];
    let app = TestApp::start_with(Store::Embedded, &[&settings[..], &MAILS].concat());
    let document = app.send("GET", "/openapi.json", &[], None).json();
    let left_out = document["paths"].as_object().unwrap().keys().filter(|path| !path.contains('{'));
    let left_out: Vec<_> = left_out.filter(|path| !PATHS.contains(&path.as_str())).collect();
    assert!(left_out.is_empty(), "{left_out:?}");
    let mut answered = 0;
    for path in PATHS {
        for method in METHODS {
            for headers in hostile_headers() {
                let mut connection = Connection::open(app.port());
                // The server may close the connection before it has read everything.
                let _ = connection.write(&raw::request(method, path, &headers, None));
                answered += usize::from(connection.read().is_some());
            }
        }
    }
    let series = app.series();
    assert!(answered > 4_000, "{answered}");
    assert!(series.len() <= 1_500, "{} series", series.len());
    println!("{answered} answers made {} series", series.len());
    let text: Vec<_> = series.keys().filter(|name| name.to_lowercase().contains("plant")).collect();
    assert!(text.is_empty(), "{text:?}");
    for name in series.keys().filter(|name| name.contains("method=")) {
        assert!(!name.contains("PROPFIND") && !name.contains("TRACE"), "{name}");
    }
}
