//! Tokens that no mail has, and tokens that arrive by a wrong route or method.

use rstest::rstest;
use serde_json::json;

use super::scene::{NEW_PASSWORD, Scene, assert_wrong_token, with_mail};
use crate::support::{
    METRICS, Mailbox, PASSWORD, PUBLIC_URL,
    Store::{self, Embedded, Redis},
    TestApp, raw, unique_email,
};

/// Texts that are almost the token.
fn forgeries(token: &str) -> Vec<String> {
    let other = |byte: u8| if byte == b'A' { 'B' } else { 'A' };
    let changed = (0..token.len()).map(|n| {
        let (start, end) = (&token[..n], &token[n + 1..]);
        format!("{start}{}{end}", other(token.as_bytes()[n]))
    });
    let cut = [1, 7, 30, token.len() - 1].map(|length| token[..length].to_owned());
    let (_, rest) = token.split_once('_').unwrap();
    let kinds = ["reset", "verify", "change", "totp", "", "RESET"].map(|kind| format!("{kind}_{rest}"));
    let shapes = [
        String::new(),
        format!("{token}A"),
        format!("{token}="),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}\0"),
        token.to_uppercase(),
        token.replace('_', "-"),
        "é".repeat(36),
        "{}".repeat(36),
        "x".repeat(10_000),
    ];
    let all = changed.chain(cut).chain(kinds).chain(shapes);
    all.filter(|forgery| forgery != token).collect()
}

#[rstest]
fn only_the_whole_token_of_its_kind_confirms(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[("EMAIL_VERIFICATION", "optional")]);
    let app = &scene.app;
    let (session, new) = (app.new_session(), unique_email());
    let verify = scene.token("verify", &session.email);
    let change = scene.change_token(&session.access_token, &new, PASSWORD);
    let reset = scene.reset_token(&session.email);
    let bodies: Vec<_> = forgeries(&reset).iter().map(|token| app.reset_password(token, NEW_PASSWORD)).collect();
    for answer in &bodies {
        assert_wrong_token(answer);
        assert_eq!(answer.body, bodies[0].body, "the answer does not say what is wrong");
    }
    for token in forgeries(&verify).iter().chain(&forgeries(&change)) {
        assert_wrong_token(&app.verify_email(token));
    }
    for token in [&verify, &change, &session.access_token, &session.refresh_token] {
        assert_wrong_token(&app.reset_password(token, NEW_PASSWORD));
    }
    for token in [&reset, &session.access_token, &session.refresh_token] {
        assert_wrong_token(&app.verify_email(token));
    }
    for token in [&reset, &verify, &change] {
        app.current_user(token).assert_error(401, "invalid_token");
        app.refresh_access_token(token).assert_error(401, "invalid_token");
    }
    // Nothing has happened, and the genuine tokens are not spent.
    session.assert_lives([app]);
    assert_eq!(app.verify_email(&verify).status, 200);
    assert_eq!(app.reset_password(&reset, NEW_PASSWORD).status, 200);
    assert_wrong_token(&app.verify_email(&change));
}

/// Programs that check mails open links, and proxies log queries.
#[rstest]
fn only_a_post_with_the_token_in_its_body_spends_it(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[]);
    let app = &scene.app;
    let email = app.new_account();
    let token = scene.reset_token(&email);
    for path in ["/password/forgot", "/password/reset", "/email/verification", "/email/verify"] {
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH"] {
            let answer = app.send(method, path, &[], None);
            assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method} {path}");
        }
        let body = json!({"token": token, "new_password": NEW_PASSWORD, "email": email}).to_string();
        app.send("GET", path, &[], Some(&body)).assert_error(405, "method_not_allowed");
        let in_query = format!("{path}?token={token}");
        app.send("GET", &in_query, &[], None).assert_error(405, "method_not_allowed");
        app.send("POST", &in_query, &[], Some(&body)).assert_error(400, "query_not_allowed");
    }
    app.send("GET", "/user/email", &[], None).assert_error(405, "method_not_allowed");
    let form = format!("token={token}&new_password={NEW_PASSWORD}");
    app.send_form("/password/reset", &[], &form).assert_error(415, "unsupported_media_type");
    app.send_json("POST", "/password/reset", &json!({"token": [token], "new_password": 1}))
        .assert_invalid(&["token", "new_password"]);
    app.send_json("POST", "/email/verify", &json!({})).assert_invalid(&["token"]);
    app.send_json("POST", "/password/forgot", &json!({"email": [email]})).assert_invalid(&["email"]);
    assert_eq!(app.reset_password(&token, NEW_PASSWORD).status, 200);
}

/// A flood of wrong tokens must not take the hashing threads from sign-ins.
#[test]
fn a_wrong_token_costs_no_hash() {
    let mailbox = Mailbox::start();
    let app = TestApp::start_with(Redis, &with_mail(&mailbox.url(), &[METRICS]));
    let hashes = || app.metric("hashing_duration_seconds_count").unwrap();
    let email = app.new_account();
    assert_eq!(app.forgot_password(&email).status, 202);
    let token = mailbox.wait_for(&email).token();
    let before = hashes();
    for forgery in forgeries(&token) {
        assert_wrong_token(&app.reset_password(&forgery, NEW_PASSWORD));
    }
    assert_eq!(hashes(), before);
    assert_eq!(app.reset_password(&token, NEW_PASSWORD).status, 200);
    assert_eq!(hashes(), before + 1.0);
}

/// An email never adds a header or a recipient.
#[rstest]
fn an_email_adds_nothing_to_a_mail(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[]);
    let app = &scene.app;
    for bad in [
        "a@example.com\r\nBcc: eve@example.com",
        "a\r\nBcc: eve@example.com\r\n@example.com",
        "a@example.com, eve@example.com",
        "a@example.com;eve@example.com",
        "<a@example.com> <eve@example.com>",
        "\"a\r\n\"@example.com",
        "a\u{0}@example.com",
        "a@example.com\u{2028}Bcc",
        "a%0d%0aBcc:eve@example.com@example.com",
    ] {
        let answer = app.forgot_password(bad);
        answer.assert_invalid(&["email"]);
        assert!(!answer.body.contains("eve"), "{answer:?}");
    }
    let name = unique_email();
    for odd in [format!("..{name}"), format!("{{o'neil}}+%0d%0a!#$%&*/=?^`|~{name}")] {
        assert_eq!(app.sign_up(&odd, PASSWORD).status, 201, "{odd}");
        assert_eq!(app.forgot_password(&odd).status, 202);
    }
    let plain = app.new_account();
    scene.reset_token(&plain);
    let international = format!("{}@b\u{fc}cher.example", name.split('@').next().unwrap());
    assert_eq!(app.sign_up(&international, PASSWORD).status, 201);
    assert_eq!(app.forgot_password(&international).status, 202);
    let token = scene.token("reset", &international.replace("b\u{fc}cher", "xn--bcher-kva"));
    assert_eq!(app.reset_password(&token, NEW_PASSWORD).status, 200);
    assert_eq!(scene.mailbox.count("eve@example.com"), 0);
}

/// The address of the page comes from the settings only.
#[rstest]
fn no_header_of_a_request_changes_a_link(#[values(Redis, Embedded)] store: Store) {
    let scene = Scene::start(store, &[]);
    let app = &scene.app;
    let email = app.new_account();
    let body = json!({"email": email}).to_string();
    let headers = [
        ("Host", "evil.example"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "http"),
        ("Forwarded", "host=evil.example;proto=http"),
        ("X-Original-URL", "https://evil.example/"),
        ("Origin", "https://evil.example"),
        ("Referer", "https://evil.example/"),
    ];
    let bytes = raw_request(&headers, &body);
    let answer = raw::exchange(app.port(), &bytes).unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    let mail = scene.mailbox.wait_for(&email);
    assert!(mail.text.contains(PUBLIC_URL), "{}", mail.text);
    assert!(!mail.raw.contains("evil.example"), "{}", mail.raw);
}

/// A request with only these headers, and those of its body.
fn raw_request(headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    format!(
        "POST /password/forgot HTTP/1.1\r\n{lines}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
