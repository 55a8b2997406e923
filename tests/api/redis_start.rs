//! A Redis that answers but can never serve stops the start, with a sentence about `REDIS_URL`.

use crate::{
    app::{ACCESS_SECRET, REFRESH_SECRET, TestApp},
    redis_server::{RedisServer, free_port},
    suite,
};

suite! {
    redis: [a_wrong_password_stops_the_start, an_unknown_database_stops_the_start, a_replica_stops_the_start]
}

/// Exit status 2, and a sentence that names the setting and shows no secret.
fn assert_refused(redis_url: &str, because: &str) {
    let directory = tempfile::tempdir().unwrap();
    let secrets = [("AUTH_SECRET_KEY", ACCESS_SECRET), ("REFRESH_SECRET_KEY", REFRESH_SECRET)];
    let (status, said) = TestApp::refused(directory.path(), &[&[("REDIS_URL", redis_url)], &secrets[..]].concat());
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("REDIS_URL") && said.contains(because), "{said}");
    assert!(!said.contains("planted") && !said.contains(ACCESS_SECRET) && !said.contains("panicked"), "{said}");
}

fn a_wrong_password_stops_the_start() {
    let redis = RedisServer::start(&[]);
    let mut admin = redis.connect();
    redis::cmd("CONFIG").arg(&["SET", "requirepass", "right"]).exec(&mut admin).unwrap();
    let port = redis.port();
    for url in [
        format!("redis://127.0.0.1:{port}"),
        format!("redis://:planted@127.0.0.1:{port}"),
        format!("redis://nobody:planted@127.0.0.1:{port}"),
    ] {
        assert_refused(&url, "refused");
    }
}

fn an_unknown_database_stops_the_start() {
    let redis = RedisServer::start(&[]);
    assert_refused(&format!("{}/999", redis.url()), "database");
}

fn a_replica_stops_the_start() {
    let redis = RedisServer::start(&["--replicaof", "127.0.0.1", &free_port().to_string()]);
    assert_refused(&redis.url(), "replica");
}
