//! Keys that rotate, keys that are revoked, and keys that nobody knows.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    filter::Filter,
    shop::{Shop, server, server_on, verifier},
};
use crate::support::{RedisServer, Store::Embedded, assert_refusal, wait_longer};

/// The id of the key that signed a token.
fn kid(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[test]
fn tokens_of_the_old_and_of_the_new_key_are_accepted_through_a_rotation() {
    // The keys of the shared Redis belong to all tests.
    let redis = RedisServer::start(&[]);
    let app = server_on(&redis, &[("SIGNING_KEY_LEAD_SECONDS", "2")]);
    let shop = Shop::open(verifier(app.port()));
    let email = app.new_account();
    let before = app.session_of(&email).access_token;
    assert_eq!(shop.orders(&before).status, 200);
    let output = app.cli(&["keys", "rotate"]);
    assert!(output.status.success(), "{output:?}");
    let mut after = before.clone();
    wait_longer(30, "the next key signs", || {
        after = app.session_of(&email).access_token;
        assert_eq!(shop.orders(&after).status, 200);
        kid(&after) != kid(&before)
    });
    assert_eq!(shop.orders(&before).status, 200);
}

#[test]
fn a_revoked_key_is_dropped() {
    let redis = RedisServer::start(&[]);
    let app = server_on(&redis, &[]);
    let shop = Shop::open(verifier(app.port()));
    let email = app.new_account();
    let before = app.session_of(&email).access_token;
    assert_eq!(shop.orders(&before).status, 200);
    let output = app.cli(&["keys", "revoke", &kid(&before)]);
    assert!(output.status.success(), "{output:?}");
    // A stale feed leads to the server, which says the same. So the test waits for the feed.
    wait_longer(20, "the revoked key is dropped", || shop.orders(&before).status == 401 && shop.verifier.is_fresh());
    assert_refusal(&shop.orders(&before), &before, "invalid_token", "the key is revoked");
    let mut after = before.clone();
    wait_longer(30, "another key signs", || {
        after = app.session_of(&email).access_token;
        kid(&after) != kid(&before)
    });
    wait_longer(30, "the verifier knows the other key", || shop.orders(&after).status == 200);
}

#[test]
fn unknown_keys_make_the_verifier_ask_at_most_once_in_a_while() {
    let app = server(Embedded, &[]);
    let filter = Filter::start(app.port());
    let shop = Shop::open(verifier(filter.port()));
    let token = app.new_session().access_token;
    let (_, rest) = token.split_once('.').unwrap();
    for n in 0..200 {
        let kid = format!("{n:043}");
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"at+jwt","alg":"ES256","kid":"{kid}"}}"#));
        let forged = format!("{header}.{rest}");
        assert_refusal(&shop.orders(&forged), &forged, "invalid_token", "an unknown key");
    }
    // One at the start, one after the ten seconds in which nobody asks again, and one more on a very slow machine.
    let asked = filter.count("GET /.well-known/jwks.json");
    assert!(asked <= 3, "asked {asked} times");
    assert_eq!(shop.orders(&token).status, 200);
}

#[test]
fn headers_that_carry_or_point_to_a_key_are_refused() {
    let app = server(Embedded, &[]);
    let shop = Shop::open(verifier(app.port()));
    let token = app.new_session().access_token;
    let (_, rest) = token.split_once('.').unwrap();
    let kid = kid(&token);
    for more in [
        json!({"jku": "https://evil.example.com/jwks.json"}),
        json!({"jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}}),
        json!({"crit": ["exp"]}),
        json!({"alg": "HS256"}),
        json!({"typ": "JWT"}),
    ] {
        let mut header = json!({"typ": "at+jwt", "alg": "ES256", "kid": kid});
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
        assert_refusal(&shop.orders(&forged), &forged, "invalid_token", &more.to_string());
    }
    assert_eq!(shop.orders(&token).status, 200);
}
