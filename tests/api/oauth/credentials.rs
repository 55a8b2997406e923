//! The credentials of resource servers, and where the entries come from.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use rstest::rstest;
use serde_json::json;

use crate::support::{
    Answer, CREDENTIALS, RESOURCE_SERVERS,
    Store::{self, Embedded, Redis},
    TestApp, refused, wait_until,
};

/// The routes that take the credentials.
const ROUTES: [&str; 2] = ["/introspect", "/revoke"];

fn basic(credentials: impl AsRef<[u8]>) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

fn ask(app: &TestApp, path: &str, authorization: &[&str]) -> Answer {
    let headers: Vec<_> = authorization.iter().map(|value| ("Authorization", *value)).collect();
    app.send_form(path, &headers, "token=x")
}

#[track_caller]
fn assert_invalid_client(answer: &Answer) {
    answer.assert_error(401, "invalid_client");
    assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"auth-service\""), "{answer:?}");
}

#[rstest]
fn only_the_right_name_and_secret_are_accepted(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[RESOURCE_SERVERS]);
    let session = app.new_session();
    for path in ROUTES {
        for right in ["orders:secret of orders", "orders:secret+of+orders", "%6Frders:secret%20of%20orders"] {
            assert_eq!(ask(&app, path, &[&basic(right)]).status, 200, "{path} {right}");
        }
        let long = format!("orders:{}", "x".repeat(4_000));
        for wrong in [
            "",
            ":",
            "orders",
            "orders:",
            ":secret of orders",
            "orders:secret of order",
            "orders:secret of orders ",
            "orders:secret of orders\0",
            "Orders:secret of orders",
            "nobody:secret of orders",
            "orders:secret of orders:",
            "orders:c11ba5e1a6fe8d5d1f3b1c45cc7e0c4f5a0a4eec4f8a4c8c0ab3f3a4d7a0c6f7",
            &long,
        ] {
            assert_invalid_client(&ask(&app, path, &[&basic(wrong)]));
        }
        for value in ["", "Basic", "Basic ", "Basic !", "Basic b3JkZXJz", "Digest x", "orders:secret of orders"] {
            assert_invalid_client(&ask(&app, path, &[value]));
        }
        // A user's token is nobody's credentials.
        for value in [&session.access_token, &format!("Bearer {}", session.access_token)] {
            assert_invalid_client(&ask(&app, path, &[value]));
        }
        let right = CREDENTIALS.1;
        for two in [[right, right], [right, "Basic x"], ["Bearer x", right]] {
            ask(&app, path, &two).assert_error(400, "invalid_request");
        }
    }
    // The answer does not tell whether the name is known.
    let refused = |credentials: &str| {
        let mut answer = ask(&app, "/introspect", &[&basic(credentials)]);
        answer.headers.retain(|(name, _)| name != "x-request-id" && name != "date");
        (answer.headers, answer.body)
    };
    assert_eq!(refused("orders:wrong"), refused("nobody:wrong"));
    session.assert_lives([&app]);
}

#[rstest]
fn only_revocation_works_without_credentials(
    #[values(Redis, Embedded)] store: Store,
    #[values(true, false)] with_entries: bool,
) {
    let app = if with_entries { TestApp::start_with(store, &[RESOURCE_SERVERS]) } else { TestApp::start(store) };
    assert_invalid_client(&ask(&app, "/introspect", &[]));
    assert_eq!(ask(&app, "/revoke", &[]).status, 200);
    if !with_entries {
        for path in ROUTES {
            assert_invalid_client(&ask(&app, path, &[CREDENTIALS.1]));
            assert_invalid_client(&ask(&app, path, &[&basic(":")]));
        }
    }
    // Credentials in the body or in the URL are none.
    let form = "token=x&client_id=orders&client_secret=secret+of+orders";
    assert_invalid_client(&app.send_form("/introspect", &[], form));
    let in_url = app.send_form("/introspect?client_id=orders", &[], "token=x");
    in_url.assert_error(400, "query_not_allowed");
}

/// The name may be a secret in the wrong place, so no line shows it.
#[test]
fn refused_credentials_are_warned_of_seldom_and_never_shown() {
    let proxy = [RESOURCE_SERVERS, ("TRUSTED_PROXIES", "127.0.0.1")];
    let app = TestApp::start_with(Embedded, &proxy);
    let headers = |value| [("Authorization", value), ("X-Forwarded-For", "198.51.100.7")];
    let wrong = basic("planted-name:planted-secret");
    for _ in 0..5 {
        let answer = app.send_form("/introspect", &headers(&wrong), "token=x");
        assert_invalid_client(&answer);
        assert!(!answer.body.contains("planted"), "{answer:?}");
    }
    let refused = || app.request_log().into_iter().filter(|line| line["code"] == "invalid_client").count();
    wait_until("all requests are logged", || refused() == 5);
    let log = app.log();
    let warnings: Vec<_> = log.iter().filter(|line| line["level"] == "WARN" && line.get("refused").is_some()).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0]["refused"], 1, "{warnings:?}");
    assert_eq!(warnings[0]["address"], "198.51.100.7", "{warnings:?}");
    assert!(warnings[0]["message"].as_str().unwrap().contains("RESOURCE_SERVERS"), "{warnings:?}");
    let output = app.output();
    assert!(!output.contains("planted") && !output.contains(&wrong[6..]), "{output}");
}

#[test]
fn the_entries_can_come_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("resource_servers");
    let start = |text: String| {
        fs::write(&path, text).unwrap();
        TestApp::start_with(Embedded, &[("RESOURCE_SERVERS_FILE", path.to_str().unwrap())])
    };
    let mail = "mail:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let app = start(format!("\u{feff}# services\r\n\r\n{}\r\n  {mail}  \r\n", RESOURCE_SERVERS.1));
    for credentials in [CREDENTIALS.1, &basic("mail:abc")] {
        ask(&app, "/introspect", &[credentials]).assert(200, &json!({"active": false}));
    }
    assert_invalid_client(&ask(&app, "/introspect", &[&basic("mail:secret of orders")]));
    let app = start("# nobody yet\n".to_owned());
    assert_invalid_client(&ask(&app, "/introspect", &[CREDENTIALS.1]));
}

#[test]
fn each_wrong_entry_stops_the_start_and_is_named() {
    let hash = RESOURCE_SERVERS.1.split_once(':').unwrap().1;
    let entries = [
        "planted",
        &format!("a:b:{hash}"),
        &format!("bücher:{hash}"),
        "short:abc",
        &format!("x:{hash}"),
        &format!("x:{hash}"),
    ]
    .join("\n");
    let said = refused(&[("RESOURCE_SERVERS", &entries)]);
    for sentence in [
        "RESOURCE_SERVERS is wrong: entry 1 must have a colon",
        "RESOURCE_SERVERS is wrong: entry 2 (a) must have only one colon",
        "RESOURCE_SERVERS is wrong: entry 3 must have a name of 1 to 64 ASCII letters",
        "RESOURCE_SERVERS is wrong: entry 4 (short) must end with the SHA-256 of the secret",
        "RESOURCE_SERVERS is wrong: entry 6 (x) has the name of an earlier entry",
    ] {
        assert!(said.contains(sentence), "{said}");
    }
    assert!(!said.contains("planted") && !said.contains(hash) && !said.contains("entry 5"), "{said}");
    let both = refused(&[RESOURCE_SERVERS, ("RESOURCE_SERVERS_FILE", "/nowhere")]);
    assert!(both.contains("RESOURCE_SERVERS and RESOURCE_SERVERS_FILE are both set"), "{both}");
    let missing = refused(&[("RESOURCE_SERVERS_FILE", "/nowhere")]);
    assert!(missing.contains("RESOURCE_SERVERS_FILE names a file that cannot be read"), "{missing}");
}
