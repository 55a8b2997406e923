//! Outages of the server, of the feed and of the store: never 401 for a good token, never 200 after the bound.

use super::{
    filter::Filter,
    shop::{Shop, server, server_on, verifier},
};
use crate::support::{Answer, RedisServer, Session, Store::Embedded, free_port, wait_longer, wait_until};

/// Waits until the token cannot be checked. Asserts that the answer says when to try again.
#[track_caller]
fn wait_for_503(shop: &Shop, token: &str) {
    wait_longer(30, "the verifier no longer trusts its feed", || statuses(shop, token, &[200, 503]) == 503);
    let answer = shop.orders(token);
    answer.assert_error(503, "verification_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

/// Waits until a good token is served again.
#[track_caller]
fn wait_for_200(shop: &Shop, token: &str) {
    wait_longer(30, "the token is accepted", || statuses(shop, token, &[200, 503]) == 200);
    wait_longer(30, "the feed is fresh", || shop.verifier.is_fresh());
}

/// The status of an answer, which must be one of these.
#[track_caller]
fn statuses(shop: &Shop, token: &str, allowed: &[u16]) -> u16 {
    let Answer { status, body, .. } = shop.orders(token);
    assert!(allowed.contains(&status), "{status} {body}");
    status
}

/// A session that lives as long as the test.
const LONG: [(&str, &str); 2] = [("ACCESS_TOKEN_TTL_SECONDS", "600"), ("REFRESH_TOKEN_TTL_SECONDS", "1200")];

#[test]
fn a_server_that_was_killed_and_started_again_is_heard_again() {
    let mut app = server(Embedded, &LONG);
    let shop = Shop::open(verifier(app.port()));
    let Session { access_token, .. } = app.new_session();
    assert_eq!(shop.orders(&access_token).status, 200);
    for _ in 0..2 {
        app.kill();
        wait_for_503(&shop, &access_token);
        // A forged token needs no server.
        shop.orders("a.b.c").assert_error(401, "invalid_token");
        app = app.restart();
        wait_for_200(&shop, &access_token);
    }
    let other = app.new_session();
    assert_eq!(app.remove_access_token(&other.email).status, 200);
    wait_until("a removal is heard", || statuses(&shop, &other.access_token, &[200, 401, 503]) == 401);
}

#[test]
fn a_verifier_that_starts_before_the_server_needs_no_restart() {
    let port = free_port().to_string();
    let shop = Shop::open(verifier(port.parse().unwrap()));
    shop.orders("a.b.c").assert_error(503, "verification_unavailable");
    assert_eq!((shop.verifier.is_fresh(), shop.verifier.feed_age()), (false, None));
    let app = server(Embedded, &[("PORT", &port)]);
    wait_for_200(&shop, &app.new_session().access_token);
    shop.orders("a.b.c").assert_error(401, "invalid_token");
}

#[test]
fn a_verifier_with_the_wrong_secret_does_not_start() {
    let app = server(Embedded, &[]);
    let builder = verifier(app.port()).resource_server("orders", "not the secret");
    assert_eq!(Shop::try_open(builder).err(), Some(auth_service_resource_server::StartError::Credentials));
}

#[test]
fn without_the_feed_the_server_is_asked_for_each_token() {
    let app = server(Embedded, &LONG);
    let filter = Filter::start(app.port());
    let shop = Shop::open(verifier(filter.port()));
    let (session, removed) = (app.new_session(), app.new_session());
    assert_eq!(shop.orders(&session.access_token).status, 200);
    filter.block("GET /revocations");
    wait_until("the feed is stale", || !shop.verifier.is_fresh());
    let introspected = shop.orders(&session.access_token);
    assert!(filter.count("POST /introspect") > 0);
    filter.unblock();
    wait_for_200(&shop, &session.access_token);
    introspected.assert(200, &shop.orders(&session.access_token).json());
    filter.block("GET /revocations");
    wait_until("the feed is stale", || !shop.verifier.is_fresh());
    assert_eq!(app.remove_access_token(&removed.email).status, 200);
    shop.orders(&removed.access_token).assert_error(401, "invalid_token");
    assert!(!shop.verifier.is_fresh());
    // And without introspection, nobody knows.
    filter.block("");
    wait_for_503(&shop, &session.access_token);
}

#[test]
fn a_feed_that_is_behind_is_not_trusted() {
    let redis = RedisServer::start(&[]);
    let app = server_on(&redis, &LONG);
    let shop = Shop::open(verifier(app.port()));
    let Session { access_token, .. } = app.new_session();
    wait_for_200(&shop, &access_token);
    redis.freeze();
    // The server still answers polls, but its own knowledge grows old.
    wait_for_503(&shop, &access_token);
    redis.thaw();
    wait_for_200(&shop, &access_token);
}

#[test]
fn a_verifier_uses_another_server_when_one_fails() {
    let redis = RedisServer::start(&[]);
    let (mut first, mut second) = (server_on(&redis, &LONG), server_on(&redis, &LONG));
    let shop = Shop::open(verifier(first.port()).server(&format!("http://127.0.0.1:{}", second.port())));
    let Session { access_token, .. } = second.new_session();
    for _ in 0..2 {
        wait_for_200(&shop, &access_token);
        first.kill();
        let removed = second.new_session();
        wait_for_200(&shop, &removed.access_token);
        assert_eq!(second.remove_access_token(&removed.email).status, 200);
        wait_until("a removal is heard", || statuses(&shop, &removed.access_token, &[200, 401, 503]) == 401);
        assert_eq!(statuses(&shop, &access_token, &[200, 503]), 200);
        first = first.restart();
        std::mem::swap(&mut first, &mut second);
    }
}
