//! The document depends on the settings of the server.

use serde_json::{Value, json};

use super::document::Document;
use crate::support::{Receiver, Store::Embedded, TestApp, WEBHOOK_SECRET};

fn document(settings: &[(&str, &str)]) -> Document {
    Document::of(&TestApp::start_with(Embedded, settings))
}

fn example_of<'d>(document: &'d Document, method: &str, path: &str) -> &'d Value {
    &document.operation(method, path)["responses"]["200"]["content"]["application/json"]["example"]
}

#[test]
fn token_removal() {
    let responses = |document: &Document| -> Vec<String> {
        let operation = document.operation("DELETE", "/access-token");
        operation["responses"].as_object().unwrap().keys().cloned().collect()
    };
    let open = document(&[]);
    let security = |document: &Document| document.operation("DELETE", "/access-token")["security"].clone();
    assert!(security(&open).as_array().unwrap().contains(&json!({})), "a token is not necessary");
    assert!(responses(&open).contains(&"429".to_owned()));
    let owner = document(&[("TOKEN_REMOVAL", "owner")]);
    assert!(!security(&owner).as_array().unwrap().contains(&json!({})), "a token is necessary");
    assert!(responses(&owner).contains(&"403".to_owned()));
    assert!(document(&[("TOKEN_REMOVAL", "off")]).methods("/access-token").is_empty());
}

#[test]
fn the_rules_for_passwords() {
    let schema = |settings: &[(&str, &str)]| document(settings).0["components"]["schemas"]["NewPassword"].clone();
    let default = schema(&[]);
    assert_eq!((&default["minLength"], &default["maxLength"]), (&json!(6), &json!(1024)));
    let strict = schema(&[("PASSWORD_MIN_LENGTH", "12"), ("PASSWORD_MIN_SCORE", "2")]);
    assert_eq!(strict["minLength"], 12);
    assert!(strict["description"].as_str().unwrap().contains("too easy to guess"), "{strict}");
}

#[test]
fn the_lives_of_tokens() {
    let document = document(&[("ACCESS_TOKEN_TTL_SECONDS", "90"), ("REFRESH_TOKEN_TTL_SECONDS", "600")]);
    let example = example_of(&document, "POST", "/authenticate");
    assert_eq!((&example["expires_in"], &example["refresh_expires_in"]), (&json!(90), &json!(600)));
    assert_eq!(example_of(&document, "POST", "/refresh-access-token")["expires_in"], 90);
}

#[test]
fn rotation() {
    for (setting, rotates) in [("off", false), ("on", true)] {
        let document = document(&[("REFRESH_TOKEN_ROTATION", setting)]);
        let required = &document.0["components"]["schemas"]["RefreshedTokens"]["required"];
        assert_eq!(required.as_array().unwrap().contains(&json!("refresh_token")), rotates, "{required}");
        let example = example_of(&document, "POST", "/refresh-access-token");
        assert_eq!(example["refresh_token"].is_string(), rotates, "{example}");
    }
}

#[test]
fn the_issuer() {
    const METADATA: &str = "/.well-known/oauth-authorization-server";
    let none = document(&[]);
    assert!(none.operation("GET", METADATA)["responses"]["200"].is_null());
    let issuer = "https://example.com/auth";
    let app = TestApp::start_with(Embedded, &[("ISSUER", issuer)]);
    let example = example_of(&Document::of(&app), "GET", METADATA).clone();
    assert_eq!(example, app.send("GET", METADATA, &[], None).json());
    assert_eq!(example_of(&Document::of(&app), "POST", "/introspect")["iss"], issuer);
}

#[test]
fn mail() {
    let server = [
        ("SMTP_URL", "smtp://127.0.0.1:9"),
        ("SMTP_FROM", "no-reply@example.com"),
        ("PUBLIC_URL", "https://app.example.com"),
    ];
    let routes = [
        ("POST", "/password/forgot", "202"),
        ("POST", "/password/reset", "200"),
        ("POST", "/email/verification", "202"),
        ("POST", "/email/verify", "200"),
        ("PUT", "/user/email", "202"),
    ];
    for (verification, in_profile, refused) in
        [("none", false, false), ("off", false, false), ("optional", true, false), ("required", true, true)]
    {
        let has_mail = verification != "none";
        let settings = [&server[..], &[("EMAIL_VERIFICATION", verification)]].concat();
        let document = document(if has_mail { &settings } else { &[] });
        for (method, path, status) in routes {
            let responses = &document.operation(method, path)["responses"];
            assert_eq!((responses[status].is_object(), responses["404"].is_null()), (has_mail, has_mail), "{path}");
        }
        let profile = &document.0["components"]["schemas"]["Profile"]["properties"]["data"]["properties"];
        assert_eq!(profile["email_verified"].is_object(), in_profile, "{verification}");
        let sign_in = &document.operation("POST", "/authenticate")["responses"];
        assert_eq!(sign_in["403"].is_object(), refused, "{verification}");
    }
}

#[test]
fn the_page_of_the_document() {
    for (setting, is_there) in [("on", true), ("off", false)] {
        let document = document(&[("DOCS", setting)]);
        assert_eq!(document.paths().into_iter().any(|path| path == "/docs"), is_there, "DOCS={setting}");
    }
}

#[test]
fn pages_of_other_origins() {
    let header = "Access-Control-Allow-Origin";
    for (settings, has_header) in [(&[][..], false), (&[("CORS_ORIGINS", "https://app.example")][..], true)] {
        let document = document(settings);
        let headers = &document.operation("GET", "/livez")["responses"]["200"]["headers"];
        assert_eq!(headers[header].is_object(), has_header, "{headers}");
    }
}

#[test]
fn the_version_and_the_server() {
    let document = document(&[]);
    assert_eq!(document.0["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document.0["servers"][0]["url"], ".");
}

#[test]
fn webhooks() {
    assert!(document(&[]).0.get("webhooks").is_none());
    let receiver = Receiver::start();
    let url = receiver.url();
    let settings = [
        ("WEBHOOK_URL", &*url),
        ("WEBHOOK_SECRET", WEBHOOK_SECRET),
        ("WEBHOOK_ALLOW_PRIVATE", "on"),
        ("AUDIT_EMAILS", "on"),
    ];
    let app = TestApp::start_with(Embedded, &settings);
    let document = Document::of(&app);
    let webhook = &document.0["webhooks"]["securityEvent"]["post"];
    let session = app.new_session();
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    let bodies: Vec<_> = receiver.wait_for(3).iter().map(|hook| hook.event()).collect();
    let content = &webhook["requestBody"]["content"]["application/json"];
    document.assert_all_valid(&content["schema"], bodies.iter().chain([&content["example"]]), "webhooks");
    let headers = &receiver.hooks()[0].headers;
    for parameter in webhook["parameters"].as_array().unwrap() {
        let value = &headers[parameter["name"].as_str().unwrap()];
        let value =
            if parameter["schema"]["type"] == "integer" { json!(value.parse::<u64>().unwrap()) } else { json!(value) };
        document.assert_all_valid(&parameter["schema"], [&value], "the headers of webhooks");
    }
}
