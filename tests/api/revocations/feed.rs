//! GET /revocations: cursors, caching, callers, and hostile queries.

use rstest::rstest;

use crate::support::{
    Answer, CREDENTIALS, PASSWORD, RESOURCE_SERVERS, RedisServer,
    Store::{self, Embedded, Redis},
    TestApp, number, text, unique_email, wait_until,
};

impl TestApp {
    /// A GET of the feed by the resource server, when the feed has been read for the first time.
    pub(super) fn revocations(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let get = || self.send("GET", path, &[&[CREDENTIALS], headers].concat(), None);
        wait_until("the feed is read", || get().status != 503);
        get()
    }
}

#[rstest]
fn a_verifier_gets_what_is_new_to_it(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[RESOURCE_SERVERS]);
    let first = app.revocations("/revocations", &[]);
    assert_eq!((first.status, first.json()["reset"].as_bool()), (200, Some(true)), "{first:?}");
    let session = app.new_session();
    assert_eq!(app.revoke(&session.access_token).status, 200);
    let path = format!("/revocations?after={}", text(&first, "cursor"));
    let id = serde_json::Value::from(session.id());
    let knows = |answer: &Answer| answer.json()["revoked"].as_array().unwrap().contains(&id);
    wait_until("the feed has the session", || knows(&app.revocations(&path, &[])));
    let next = app.revocations("/revocations", &[]);
    assert!(knows(&next));
    let (path, tag) = (format!("/revocations?after={}", text(&next, "cursor")), next.header("etag").unwrap());
    assert!(number(&next, "age_ms") < 60_000);
    assert_eq!(next.header("cache-control"), Some("no-store"), "{next:?}");
    if store == Embedded {
        let same = app.revocations(&path, &[("If-None-Match", tag)]);
        assert_eq!((same.status, same.body.as_str()), (304, ""), "{same:?}");
        assert!(same.header("revocations-age-ms").unwrap().parse::<u64>().is_ok(), "{same:?}");
        assert_eq!(same.header("etag"), Some(tag));
        let again = app.revocations(&path, &[]);
        assert!(knows(&again) && again.json()["reset"] == false, "{again:?}");
    }
}

#[rstest]
fn only_a_resource_server_may_ask_and_only_by_get(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[RESOURCE_SERVERS]);
    app.send("GET", "/revocations", &[], None).assert_error(401, "invalid_client");
    for method in ["HEAD", "POST", "DELETE"] {
        let answer = app.send(method, "/revocations", &[CREDENTIALS], None);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")), "{method}: {answer:?}");
    }
    let without = TestApp::start_with(store, &[]);
    without.send("GET", "/revocations", &[CREDENTIALS], None).assert_error(401, "invalid_client");
}

#[rstest]
fn a_cursor_that_cannot_be_read_gets_the_whole_window(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[RESOURCE_SERVERS]);
    let huge = "9".repeat(4_000);
    for after in ["", "x", "1-2", "-", "%00", "18446744073709551615-0-0", &huge, "1-1-1%2C2"] {
        let answer = app.revocations(&format!("/revocations?after={after}"), &[("If-None-Match", "*")]);
        assert_eq!((answer.status, answer.json()["reset"].as_bool()), (200, Some(true)), "{after}: {answer:?}");
    }
    for query in ["after=1-1-1&after=1-1-1", "x=1", "after=1-1-1&access_token=x", "After=1-1-1"] {
        let path = format!("/revocations?{query}");
        app.send("GET", &path, &[CREDENTIALS], None).assert_error(400, "query_not_allowed");
    }
}

#[test]
fn the_embedded_store_keeps_its_feed_over_a_restart() {
    let data = crate::support::Data::new(Embedded);
    let app = data.start(&[RESOURCE_SERVERS]);
    let session = app.new_session();
    assert_eq!(app.revoke(&session.access_token).status, 200);
    drop(app);
    let app = data.start(&[RESOURCE_SERVERS]);
    let answer = app.revocations("/revocations", &[]);
    assert!(answer.json()["revoked"].as_array().unwrap().contains(&session.id().into()), "{answer:?}");
}

#[test]
fn the_age_grows_while_redis_is_away_and_falls_when_it_is_back() {
    let mut redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[RESOURCE_SERVERS]);
    assert_eq!(app.revocations("/revocations", &[]).status, 200);
    redis.kill();
    wait_until("the feed says that it is behind", || number(&app.revocations("/revocations", &[]), "age_ms") > 1_500);
    redis.restart();
    wait_until("the feed is read again", || number(&app.revocations("/revocations", &[]), "age_ms") < 1_000);
    // The connections of the workers may be back later than that of the feed.
    wait_until("the server serves again", || (0..8).all(|_| app.sign_up(&unique_email(), PASSWORD).status == 201));
    let session = app.new_session();
    wait_until("the session is revoked", || app.revoke(&session.access_token).status == 200);
    let knows = |answer: &Answer| answer.json()["revoked"].as_array().unwrap().contains(&session.id().into());
    wait_until("the feed has the session", || knows(&app.revocations("/revocations", &[])));
}
