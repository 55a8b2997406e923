//! Stores that are down, full, slow or fail over, and clocks that are off.

use std::time::{Duration, Instant};

use crate::{
    site::site_of,
    support::{
        Cluster, FakeClock, MovingSlot, RESOURCE_SERVERS, RedisServer, Sentinels, Session, Store, TestApp, key,
        not_beside_load, program, raw, run_to_end, tag,
    },
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
    let client = Traffic::of(1, Duration::from_millis(50), move |_| check_token(port, &session));
    site.expect("every request of a client is a fault of the server", since, &["AuthServiceErrors"]);
    let since = Instant::now();
    drop(client);
    site.expect_peace("the client has stopped", since);
}

/// `redis-cli --cluster reshard` was stopped while it moved the keys of a user. Both nodes answer, but neither has all keys of
/// the token check. The server tries again for half a second, so an alert on slow token checks may fire, too.
#[test]
fn the_move_of_a_slot_stops_halfway() {
    let _turn = not_beside_load();
    let cluster = Cluster::start(&[]);
    let (mut site, apps) = site_of(1, &[], |settings| TestApp::start_on(&cluster.url(), settings));
    let _traffic = Traffic::usual(&apps);
    let (session, port) = (apps[0].new_session(), apps[0].port());
    let owner = cluster.owner(0, &key(&session.email));
    let other = (0..3).find(|n| *n != owner).unwrap();
    let since = Instant::now();
    let slot = MovingSlot::start(&cluster.servers[owner], &cluster.servers[other], &session.email);
    slot.move_key(&format!("as:{{{}}}:e", tag(&session.email)));
    apps[0].current_user(&session.access_token).assert_error(503, "store_cluster_down");
    let client = Traffic::of(2, Duration::from_millis(50), move |_| check_token(port, &session));
    site.may_fire(&["AuthServiceTokenChecksSlow"]);
    site.expect("the move of a slot has stopped", since, &["AuthServiceStoreErrors"]);
    let since = Instant::now();
    let mut repair = program("redis-cli");
    repair.args(["--cluster", "fix", &format!("127.0.0.1:{}", cluster.servers[0].port()), "--cluster-yes"]);
    let output = run_to_end(repair);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    site.expect_peace("redis-cli has finished the move", since);
    drop(client);
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

/// A token check, whatever the answer.
fn check_token(port: u16, session: &Session) {
    let token = [("Authorization", session.access_token.as_str())];
    let _ = raw::exchange(port, &raw::request("GET", "/user", &token, None));
}
