//! The public documents: the keys and the metadata.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    Answer, HS256, RedisServer,
    Store::{self, Embedded, Redis},
    TestApp, claims, replicas, wait_until,
};

const KEYS: &str = "/.well-known/jwks.json";
const ES256: (&str, &str) = ("ACCESS_TOKEN_ALGORITHM", "ES256");
const METADATA: &str = "/.well-known/oauth-authorization-server";

fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Answer {
    app.send("GET", path, headers, None)
}

/// Asserts a document that every cache may keep, and returns its tag.
#[track_caller]
fn assert_document(answer: &Answer, body: &Value) -> String {
    answer.assert(200, body);
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"), "{answer:?}");
    // A cache would hand one request's id to others.
    assert_eq!(answer.header("x-request-id"), None, "{answer:?}");
    let tag = answer.header("etag").unwrap();
    assert!(tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'), "{answer:?}");
    tag.to_owned()
}

/// Asserts all that clients and caches may do with a document.
#[track_caller]
fn assert_cacheable(app: &TestApp, path: &str, body: &Value) {
    let tag = assert_document(&get(app, path, &[]), body);
    assert_eq!(assert_document(&get(app, path, &[("Authorization", "Bearer x")]), body), tag, "the tag is stable");
    let head = app.send("HEAD", path, &[], None);
    let length = Some(get(app, path, &[]).body.len().to_string());
    assert_eq!((head.status, head.body.as_str(), head.header("content-length")), (200, "", length.as_deref()));
    assert_eq!(head.header("etag"), Some(&*tag), "{head:?}");
    let weak = format!("W/{tag}");
    let listed = format!("\"other\", W/\"x,y\" ,{weak}");
    for method in ["GET", "HEAD"] {
        for same in [
            &[("If-None-Match", &*tag)][..],
            &[("If-None-Match", &weak)],
            &[("If-None-Match", "*")],
            &[("If-None-Match", &listed)],
            &[("If-None-Match", "\"other\""), ("If-None-Match", &tag)],
        ] {
            let answer = app.send(method, path, same, None);
            assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{answer:?}");
            assert_eq!(answer.header("etag"), Some(&*tag), "{answer:?}");
            assert_eq!(answer.header("cache-control"), Some("public, max-age=300"), "{answer:?}");
        }
    }
    let unquoted = tag.trim_matches('"');
    for other in ["\"other\"", "", "W/", unquoted, &format!("w/{tag}"), &format!("\"{unquoted}x\"")] {
        assert_document(&get(app, path, &[("If-None-Match", other)]), body);
    }
    get(app, &format!("{path}?x=1"), &[]).assert_error(400, "query_not_allowed");
}

#[rstest]
fn with_hs256_the_set_of_keys_is_empty(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[HS256]);
    assert_cacheable(&app, KEYS, &json!({"keys": []}));
}

#[rstest]
fn the_openapi_document_is_public(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let body = get(&app, "/openapi.json", &[]).json();
    assert_eq!(body["openapi"], "3.1.0");
    assert_cacheable(&app, "/openapi.json", &body);
}

#[rstest]
fn without_an_issuer_there_is_no_metadata(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    for path in [METADATA, &format!("{METADATA}/auth")] {
        let answer = get(&app, path, &[]);
        answer.assert_error(404, "issuer_not_set");
        assert!(answer.json()["error"].as_str().unwrap().contains("ISSUER"), "{answer:?}");
        assert!(answer.header("x-request-id").is_some() && answer.header("etag").is_none(), "{answer:?}");
    }
}

/// All that RFC 8414 has for this server. Every address begins with the issuer.
fn metadata(issuer: &str, base: &str) -> Value {
    json!({
        "issuer": issuer,
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "introspection_endpoint": format!("{base}/introspect"),
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
        "revocation_endpoint": format!("{base}/revoke"),
        "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
        "token_endpoint": format!("{base}/authenticate"),
        "token_endpoint_auth_methods_supported": ["none"],
        "grant_types_supported": [format!("{base}/authenticate")],
        "response_types_supported": ["none"],
    })
}

#[rstest]
fn the_metadata_names_the_issuer_and_the_endpoints(#[values(Redis, Embedded)] store: Store) {
    for (issuer, base, other_path) in [
        ("https://auth.example.com", "https://auth.example.com", None),
        ("https://example.com/auth/", "https://example.com/auth", Some("/auth")),
    ] {
        let app = TestApp::start_with(store, &[("ISSUER", issuer)]);
        let body = metadata(issuer, base);
        assert_cacheable(&app, METADATA, &body);
        if let Some(path) = other_path {
            assert_cacheable(&app, &format!("{METADATA}{path}"), &body);
        }
        for wrong in ["/", "/x", "/auth/x", "/auth/", "/AUTH", "//auth"] {
            get(&app, &format!("{METADATA}{wrong}"), &[]).assert_error(404, "route_not_found");
        }
        assert_eq!(claims(&app.new_session().access_token)["iss"], issuer);
    }
}

/// A public key as RFC 7517 and RFC 7518, section 6.2 describe it, without a private part.
#[track_caller]
fn assert_public_key(key: &Value) {
    let members = ["alg", "crv", "kid", "kty", "use", "x", "y"];
    let mut named: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
    named.sort_unstable();
    assert_eq!(named, members, "{key}");
    let text = |name: &str| key[name].as_str().unwrap();
    assert_eq!((text("kty"), text("crv"), text("use"), text("alg")), ("EC", "P-256", "sig", "ES256"), "{key}");
    assert!(["x", "y", "kid"].iter().all(|name| text(name).len() == 43), "{key}");
}

#[rstest]
fn with_es256_every_replica_publishes_the_key_of_the_tokens(#[values(Redis, Embedded)] store: Store) {
    let replicas = replicas(store, &[ES256]);
    let token = replicas[0].new_session().access_token;
    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    for app in &replicas {
        let body = get(app, KEYS, &[]).json();
        assert_cacheable(app, KEYS, &body);
        let keys = body["keys"].as_array().unwrap();
        keys.iter().for_each(assert_public_key);
        assert!(keys.iter().any(|key| key["kid"] == header["kid"]), "{header} {body}");
    }
}

#[rstest]
fn the_documents_are_served_while_redis_is_away(#[values("HS256", "ES256")] algorithm: &str) {
    let mut redis = RedisServer::start(&[]);
    let issuer = "https://auth.example.com";
    let app = TestApp::start_on(&redis.url(), &[("ISSUER", issuer), ("ACCESS_TOKEN_ALGORITHM", algorithm)]);
    let keys = get(&app, KEYS, &[]).json();
    assert_eq!(keys["keys"].as_array().unwrap().is_empty(), algorithm == "HS256", "{keys}");
    redis.kill();
    wait_until("the server notices the outage", || get(&app, "/readyz", &[]).status == 503);
    assert_document(&get(&app, KEYS, &[]), &keys);
    assert_document(&get(&app, METADATA, &[]), &metadata(issuer, issuer));
}

/// A cache would keep an empty set for five minutes, so that verifiers would refuse good tokens.
#[test]
fn the_keys_are_503_until_they_were_read_once() {
    let mut redis = RedisServer::start(&[]);
    redis.kill();
    let app = TestApp::start_on(&redis.url(), &[ES256]);
    get(&app, KEYS, &[]).assert_error(503, "no_signing_key");
    redis.restart();
    wait_until("the keys are read", || get(&app, KEYS, &[]).status == 200);
    let body = get(&app, KEYS, &[]).json();
    assert!(!body["keys"].as_array().unwrap().is_empty(), "{body}");
    assert_cacheable(&app, KEYS, &body);
}

/// A page of an origin that CORS_ORIGINS does not name cannot read the documents either.
#[test]
fn pages_of_named_origins_can_read_the_documents() {
    let app = TestApp::start_with(Embedded, &[HS256, ("CORS_ORIGINS", "https://app.example")]);
    for (origin, allowed) in [("https://app.example", Some("https://app.example")), ("https://other.example", None)] {
        let answer = get(&app, KEYS, &[("Origin", origin)]);
        let tag = assert_document(&answer, &json!({"keys": []}));
        let same = get(&app, KEYS, &[("Origin", origin), ("If-None-Match", &tag)]);
        assert_eq!(same.status, 304, "{same:?}");
        for answer in [answer, same] {
            assert_eq!(answer.header("access-control-allow-origin"), allowed, "{answer:?}");
            assert_eq!(answer.header("vary"), Some("Origin"), "{answer:?}");
        }
    }
}
