//! What the middleware answers to tokens of every kind.

use rstest::rstest;
use serde_json::json;

use super::shop::{Shop, server, verifier};
use crate::support::{
    Data, SECRETS, Store,
    Store::{Embedded, Redis},
    assert_refusal, claims, time, unix_seconds, wait_longer,
};

#[rstest]
fn a_good_token_brings_its_identity(#[values(Redis, Embedded)] store: Store) {
    let app = server(store, &[]);
    let shop = Shop::open(verifier(app.port()));
    let session = app.new_session();
    let (token, claims) = (&session.access_token, claims(&session.access_token));
    let body = json!({"user": claims["sub"], "session": claims["sid"], "orders": []});
    for credentials in [format!("Bearer {token}"), format!("bearer  {token}"), token.clone()] {
        shop.get("/orders", &[("Authorization", &credentials)]).assert(200, &body);
    }
    // Two paths lead to the identity: the offline check, and introspection.
    let verified = shop.block_on(shop.verifier.verify(token)).unwrap();
    assert_eq!(json!(verified.eid), claims["eid"]);
    assert_eq!(json!(verified.jti), claims["jti"]);
    assert_eq!((json!(verified.iat), json!(verified.exp)), (claims["iat"].clone(), claims["exp"].clone()));
    assert_eq!(json!(verified.client_id()), claims["client_id"]);
    assert_eq!((json!(verified.amr), json!(verified.auth_time)), (json!(["pwd"]), claims["auth_time"].clone()));
    assert!(!verified.has_second_factor());
    // A token of another sign-in, and the token of a refresh, are as good.
    for token in [app.session_of(&session.email).access_token, {
        let refreshed = app.refresh_access_token(&session.refresh_token);
        refreshed.json()["access_token"].as_str().unwrap().to_owned()
    }] {
        assert_eq!(shop.orders(&token).status, 200);
    }
}

#[test]
fn a_request_without_a_token_gets_a_bare_challenge() {
    let app = server(Embedded, &[]);
    let shop = Shop::open(verifier(app.port()));
    for headers in [&[][..], &[("Authorization", "Basic dXNlcjpwYXNz")], &[("Authorization", "Bearer")]] {
        let answer = shop.get("/orders", headers);
        answer.assert_error(401, "token_missing");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let token = app.new_session().access_token;
    let twice = [("Authorization", token.as_str()), ("Authorization", token.as_str())];
    shop.get("/orders", &twice).assert_error(400, "ambiguous_token");
}

#[test]
fn the_optional_layer_lets_anonymous_requests_through() {
    let app = server(Embedded, &[]);
    let shop = Shop::open(verifier(app.port()));
    let session = app.new_session();
    let answer = shop.get("/", &[]);
    assert_eq!((answer.status, answer.body.as_str()), (200, "Hello!"));
    let answer = shop.get("/", &[("Authorization", &session.access_token)]);
    let sub = claims(&session.access_token)["sub"].as_str().unwrap().to_owned();
    assert_eq!((answer.status, answer.body), (200, format!("Hello, {sub}!")));
    let answer = shop.get("/", &[("Authorization", "Bearer a.b.c")]);
    assert_refusal(&answer, "a.b.c", "invalid_token", "a bad token");
}

#[test]
fn forged_tokens_and_tokens_of_other_kinds_are_refused() {
    let app = server(Embedded, &[]);
    let shop = Shop::open(verifier(app.port()));
    let session = app.new_session();
    let token = &session.access_token;
    let parts: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("{token}") };
    let other = app.new_session().access_token;
    let (_, other_signature) = other.rsplit_once('.').unwrap();
    let flipped = format!("{}{}", &signature[..40], signature[40..].chars().rev().collect::<String>());
    let hs256 = Data::new(Embedded).start(&SECRETS).new_session().access_token;
    for (why, forged) in [
        ("no signature", format!("{header}.{payload}.")),
        ("no third part", format!("{header}.{payload}")),
        ("the signature of another token", format!("{header}.{payload}.{other_signature}")),
        ("a changed signature", format!("{header}.{payload}.{flipped}")),
        ("a fourth part", format!("{token}.{signature}")),
        ("a refresh token", session.refresh_token.clone()),
        ("HS256", hs256),
        ("alg none", format!("eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJub25lIn0.{payload}.")),
        ("no token at all", "x".to_owned()),
        ("a very long text", "x".repeat(6000)),
    ] {
        assert_refusal(&shop.orders(&forged), &forged, "invalid_token", why);
    }
    assert_eq!(shop.orders(token).status, 200);
}

#[test]
fn a_token_of_another_issuer_or_audience_is_refused() {
    let app = server(Embedded, &[("AUDIENCE", "api.example.com")]);
    let token = app.new_session().access_token;
    for (why, builder) in [
        ("the default audience", verifier(app.port())),
        ("another audience", verifier(app.port()).audience("api.example.org")),
        ("a longer audience", verifier(app.port()).audience("api.example.com/")),
        ("another issuer", verifier(app.port()).audience("api.example.com").issuer("https://auth.example.com")),
    ] {
        assert_refusal(&Shop::open(builder).orders(&token), &token, "invalid_token", why);
    }
    assert_eq!(Shop::open(verifier(app.port()).audience("api.example.com")).orders(&token).status, 200);
}

#[test]
fn an_expired_token_is_refused_also_if_it_was_seen_before() {
    let app = server(Embedded, &[("ACCESS_TOKEN_TTL_SECONDS", "1")]);
    let shop = Shop::open(verifier(app.port()));
    let (seen, unseen) = (app.new_session().access_token, app.new_session().access_token);
    assert_eq!(shop.orders(&seen).status, 200);
    wait_longer(20, "the token has expired", || shop.orders(&seen).status != 200);
    assert_refusal(&shop.orders(&seen), &seen, "token_expired", "a token seen before");
    wait_longer(20, "the other token has expired", || unix_seconds() > time(&unseen, "exp") + 5);
    assert_refusal(&shop.orders(&unseen), &unseen, "token_expired", "a token not seen before");
}
