//! Signing keys and a feed of revocations that cannot be read, although the store is up.

use std::time::Instant;

use crate::{
    site::site_of,
    support::{RESOURCE_SERVERS, RedisServer, TestApp},
    traffic::Traffic,
};

#[test]
fn the_signing_keys_and_the_feed_cannot_be_read() {
    let redis = RedisServer::start(&[]);
    let settings = [RESOURCE_SERVERS, ("ACCESS_TOKEN_ALGORITHM", "ES256")];
    let (mut site, apps) = site_of(2, &settings, |settings| TestApp::start_on(&redis.url(), settings));
    let _traffic = Traffic::usual(&apps);
    let session = apps[0].new_session();
    let keys: String = redis.command(&["GET", "as:keys"]);
    let since = Instant::now();
    let () = redis.command(&["SET", "as:keys", "damaged"]);
    let () = redis.command(&["SET", "as:revocations", "not a stream"]);
    let alerts = ["AuthServiceRevocationFeedStale", "AuthServiceNoSigningKey"];
    site.expect("the records of keys and revocations are damaged", since, &alerts);
    assert_eq!(apps[0].current_user(&session.access_token).status, 200, "the keys verify");
    let since = Instant::now();
    let () = redis.command(&["SET", "as:keys", &keys]);
    let () = redis.command(&["DEL", "as:revocations"]);
    site.expect_peace("the records are whole", since);
}
