//! Stores that are down, full, slow or fail over, and clocks that are off.

use std::time::{Duration, Instant};

use crate::{
    site::site_of,
    support::{FakeClock, RESOURCE_SERVERS, RedisServer, Sentinels, Store, TestApp, not_beside_load, raw, tag},
    traffic::Traffic,
};

#[test]
fn redis_is_killed_frozen_and_full() {
    let _turn = not_beside_load();
    let mut redis = RedisServer::start(&[]);
    let url = redis.url();
    let (mut site, apps) = site_of(2, &[RESOURCE_SERVERS], |settings| TestApp::start_on(&url, settings));
    let _traffic = Traffic::usual(&apps);
    let since = Instant::now();
    redis.kill();
    site.expect("Redis is killed", since, &["AuthServiceStoreDown"]);
    let since = Instant::now();
    redis.restart();
    site.expect_peace("Redis runs again", since);
    let since = Instant::now();
    redis.freeze();
    site.expect("Redis is frozen", since, &["AuthServiceStoreDown"]);
    let since = Instant::now();
    redis.thaw();
    site.expect_peace("Redis goes on", since);
    let since = Instant::now();
    let () = redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    site.expect("the memory of Redis is full", since, &["AuthServiceStoreRefusesWrites"]);
    let since = Instant::now();
    let () = redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    site.expect_peace("Redis has memory", since);
}

#[test]
fn redis_is_slow() {
    let _turn = not_beside_load();
    let redis = RedisServer::start(&[]);
    let (mut site, apps) = site_of(1, &[], |settings| TestApp::start_on(&redis.url(), settings));
    // Each client waits for its answer, and the alert needs a hundred requests.
    let _traffic: Vec<_> = (0..8).map(|_| Traffic::usual(&apps)).collect();
    let port = redis.port();
    let since = Instant::now();
    let slow = Traffic::of(1, Duration::from_millis(600), move |_| {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        let pause = |connection: &mut redis::Connection| redis::cmd("CLIENT").arg("PAUSE").arg(300).exec(connection);
        let _ = client.get_connection().and_then(|mut connection| pause(&mut connection));
    });
    site.expect("Redis stops for 300 ms again and again", since, &["AuthServiceTokenChecksSlow"]);
    let since = Instant::now();
    drop(slow);
    site.expect_peace("Redis is fast again", since);
}

#[test]
fn an_entry_is_damaged() {
    let redis = RedisServer::start(&[]);
    let (mut site, apps) = site_of(1, &[], |settings| TestApp::start_on(&redis.url(), settings));
    let _traffic = Traffic::usual(&apps);
    let (session, port) = (apps[0].new_session(), apps[0].port());
    let since = Instant::now();
    let () = redis.command(&["SET", &format!("as:{{{}}}:e", tag(&session.email)), "damaged"]);
    apps[0].current_user(&session.access_token).assert_error(500, "internal_error");
    let client = Traffic::of(1, Duration::from_millis(50), move |_| {
        let token = [("Authorization", session.access_token.as_str())];
        let _ = raw::exchange(port, &raw::request("GET", "/user", &token, None));
    });
    site.expect("every request of a client is a fault of the server", since, &["AuthServiceErrors"]);
    let since = Instant::now();
    drop(client);
    site.expect_peace("the client has stopped", since);
}

/// A failover takes seconds, which are minutes at the speed of this test. So an alert that the store is down may fire, too.
#[test]
fn sentinel_fails_over() {
    let _turn = not_beside_load();
    let mut sentinels = Sentinels::start();
    let (mut site, apps) = site_of(2, &[], |settings| TestApp::start_on(&sentinels.url(), settings));
    let _traffic = Traffic::usual(&apps);
    site.may_fire(&["AuthServiceStoreDown"]);
    let primary = sentinels.primary();
    let since = Instant::now();
    sentinels.servers[primary].kill();
    site.expect("Sentinel makes another Redis the primary", since, &["AuthServiceStoreFailover"]);
    site.expect_peace("the other Redis is the primary", since);
}

#[test]
fn the_clock_of_the_machine_is_set() {
    let clock = FakeClock::new(0);
    let start =
        |settings: &[(&str, &str)]| TestApp::start_with(Store::Embedded, &[&clock.settings()[..], settings].concat());
    let (mut site, apps) = site_of(1, &[], start);
    let _traffic = Traffic::usual(&apps);
    for offset in [600, -600] {
        let since = Instant::now();
        clock.set(offset);
        site.expect(&format!("the clock is off by {offset} s"), since, &["AuthServiceClockOff"]);
        let since = Instant::now();
        clock.set(0);
        site.expect_peace("the clock is right again", since);
    }
}
