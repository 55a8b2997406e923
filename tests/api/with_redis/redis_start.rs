//! A Redis that answers but can never serve stops the start.

use crate::support::{RedisServer, assert_says, free_port, refused};

/// The refusal names the setting and the reason.
#[track_caller]
fn assert_refused(redis_url: &str, because: &str) {
    assert_says(&refused(&[("REDIS_URL", redis_url)]), &["REDIS_URL", because]);
}

#[test]
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

#[test]
fn an_unknown_database_stops_the_start() {
    let redis = RedisServer::start(&[]);
    assert_refused(&format!("{}/999", redis.url()), "database");
}

#[test]
fn a_replica_stops_the_start() {
    let redis = RedisServer::start(&["--replicaof", "127.0.0.1", &free_port().to_string()]);
    assert_refused(&redis.url(), "replica");
}
