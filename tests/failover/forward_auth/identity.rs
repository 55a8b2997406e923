//! Who may pass, and the identity that the application gets.

use serde_json::Value;

use super::{Gateway, IDENTITY, Proxy, Site, values};
use crate::support::{PASSWORD, Session, claims, expired_access_token};

/// Headers with which a client claims to be somebody else.
const FORGED: [(&str, &str); 11] = [
    ("X-User-Id", "forged-1"),
    ("X-User-Id", "forged-2"),
    ("x-user-id", "forged-3"),
    ("X-USER-EMAIL", "forged@example.com"),
    ("x-session-id", "forged-4"),
    ("X_User_Id", "forged-5"),
    ("X-User_Id", "forged-6"),
    ("x_user-id", "forged-7"),
    ("X_USER_EMAIL", "forged-8"),
    ("x-session_id", "forged-9"),
    ("Refresh-Token", "forged-10"),
];
/// Headers with which a client tells a proxy to take the identity away.
const DROPPING: [(&str, &str); 3] =
    [("Connection", "close, X-User-Id, x-user-email"), ("Connection", "X-Session-Id"), ("Keep-Alive", "X-User-Id")];

/// Asserts that the application has got exactly this identity, and no token.
#[track_caller]
fn assert_identity(gateway: &Gateway, arrived: &Value, expected: Option<(&Session, &str)>) {
    let expected = expected.map(|(session, email)| {
        let claims = claims(&session.access_token);
        [claims["sub"].as_str().unwrap().to_owned(), email.to_owned(), claims["sid"].as_str().unwrap().to_owned()]
    });
    for (n, name) in IDENTITY.into_iter().enumerate() {
        let expected: Vec<_> = expected.iter().map(|identity| identity[n].as_str()).collect();
        assert_eq!(values(arrived, name), expected, "{:?} {name} {arrived}", gateway.proxy);
    }
    // Nothing that an application could take for the identity, or that names the identity in a header of its own.
    for header in arrived["headers"].as_array().unwrap() {
        let name = header[0].as_str().unwrap();
        let alike = name.replace('_', "-");
        let is_ours = IDENTITY.contains(&name);
        assert!(is_ours || !IDENTITY.contains(&alike.as_str()), "{:?} {arrived}", gateway.proxy);
        let value = header[1].as_str().unwrap().to_ascii_lowercase();
        assert!(name == "keep-alive" || !value.contains("x-user-id"), "{:?} {arrived}", gateway.proxy);
    }
    for name in ["authorization", "refresh-token"] {
        assert!(values(arrived, name).is_empty(), "{:?} {arrived}", gateway.proxy);
    }
}

#[test]
fn a_live_token_passes_with_its_identity_and_nothing_else_does() {
    let site = Site::start();
    let (session, removed) = (&site.session, site.app.new_session());
    // The email has what a proxy could take for a variable.
    let email = format!("{{host}}$host%{}@b\u{fc}cher.example", std::process::id());
    assert_eq!(site.app.sign_up(&email, PASSWORD).status, 201);
    let odd = site.app.session_of(&email);
    let odd_ascii = email.replace("b\u{fc}cher", "xn--bcher-kva");
    assert_eq!(site.app.remove_access_token(&removed.email).status, 200);
    let expired = expired_access_token(session);
    site.for_each(|gateway| {
        for (session, email) in [(session, &session.email), (&odd, &odd_ascii)] {
            for token in [session.access_token.clone(), format!("bEaReR {}", session.access_token)] {
                let answer = gateway.get("/private", &[("Authorization", &token)]);
                assert_identity(gateway, &gateway.arrived(&answer), Some((session, email)));
                assert_eq!(answer.header("access-token"), None, "{answer:?}");
            }
        }
        let forged = format!("{}x", session.access_token);
        let renewable = ("Refresh-Token", session.refresh_token.as_str());
        for (token, challenge) in [
            (None, "Bearer"),
            (Some("Basic dXNlcjpwYXNz"), "Bearer"),
            (Some(forged.as_str()), r#"Bearer error="invalid_token""#),
            (Some(&expired), r#"Bearer error="invalid_token""#),
            (Some(&removed.access_token), r#"Bearer error="invalid_token""#),
            (Some(&session.refresh_token), r#"Bearer error="invalid_token""#),
        ] {
            let headers: Vec<_> = token.map(|token| ("Authorization", token)).into_iter().chain([renewable]).collect();
            for method in ["GET", "POST", "OPTIONS", "DELETE"] {
                let answer = gateway.send(method, "/private", &headers, None);
                gateway.assert_refused(&answer, 401);
                assert_eq!(answer.header("www-authenticate"), Some(challenge), "{:?} {answer:?}", gateway.proxy);
                assert_eq!(answer.header("access-token"), None, "{:?} {answer:?}", gateway.proxy);
            }
        }
    });
    // A removal holds on the next request, also on a connection that has passed before.
    let mut connections: Vec<_> = site.gateways.iter().map(Gateway::connect).collect();
    let request = crate::support::raw::request("GET", "/private", &site.token(), None);
    for (gateway, connection) in site.gateways.iter().zip(&mut connections) {
        connection.write(&request).unwrap();
        gateway.arrived(&connection.read().unwrap());
    }
    assert_eq!(site.app.remove_access_token(&session.email).status, 200);
    for (gateway, connection) in site.gateways.iter().zip(&mut connections) {
        connection.write(&request).unwrap();
        gateway.assert_refused(&connection.read().unwrap(), 401);
    }
}

#[test]
fn no_client_can_forge_or_drop_an_identity() {
    let site = Site::start();
    let preflight = [("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "PUT")];
    let with_dropping = [&FORGED[..], &DROPPING].concat();
    site.for_each(|gateway| {
        for forged in [&FORGED[..], &with_dropping] {
            let headers = [&site.token()[..], forged].concat();
            for method in ["GET", "POST", "OPTIONS"] {
                let answer = gateway.send(method, "/private", &headers, None);
                assert_identity(gateway, &gateway.arrived(&answer), Some((&site.session, &site.session.email)));
                gateway.assert_refused(&gateway.send(method, "/private", forged, None), 401);
                let public = gateway.send(method, "/public/page", &headers, None);
                assert_identity(gateway, &gateway.arrived(&public), None);
            }
            let answer = gateway.send("OPTIONS", "/private", &[&headers[..], &preflight].concat(), None);
            assert_identity(gateway, &gateway.arrived(&answer), None);
        }
        // Only OPTIONS is a preflight.
        let headers = [&FORGED[..], &preflight].concat();
        for method in ["GET", "options", "OPTIONSX"] {
            let answer = gateway.send(method, "/private", &headers, None);
            assert!(answer.header("x-application").is_none() && answer.status >= 400, "{:?} {answer:?}", gateway.proxy);
        }
        // Some proxies drop the token then, which harms only the client.
        let dropping = [&site.token()[..], &[("Connection", "Authorization")]].concat();
        let answer = gateway.get("/private", &dropping);
        if answer.status == 200 {
            assert_identity(gateway, &gateway.arrived(&answer), Some((&site.session, &site.session.email)));
        } else {
            gateway.assert_refused(&answer, 401);
        }
        // Two tokens: whichever is checked, the application gets neither.
        let forged_first = [&[("Authorization", "forged")], &site.token()[..]].concat();
        let answer = gateway.get("/private", &forged_first);
        // Envoy joins them to one, which is no token.
        gateway.assert_refused(&answer, if gateway.proxy == Proxy::Envoy { 401 } else { 400 });
    });
}
