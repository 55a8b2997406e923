//! Replicas behind HAProxy with the shipped configuration: restarted, scaled and killed under steady load.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    site::Site,
    support::{Load, PASSWORD, kill_in_flight, new_session, signal, unique_email, wait_until},
};

#[test]
fn restarting_all_replicas_one_after_another_fails_no_request() {
    let mut site = Site::start(3);
    let load = Load::start(site.port);
    for _ in 0..3 {
        let address = site.stop_replica(0);
        site.start_replica(address);
        load.wait_for_more();
    }
    let report = load.stop();
    eprintln!("rolling restart: {report}");
    report.assert_none_failed();
}

#[test]
fn scaling_from_one_to_three_to_two_fails_no_request() {
    let mut site = Site::start(1);
    let load = Load::start(site.port);
    site.start_replica(Ipv4Addr::new(127, 0, 0, 2));
    site.start_replica(Ipv4Addr::new(127, 0, 0, 3));
    load.wait_for_more();
    site.stop_replica(0);
    load.wait_for_more();
    let report = load.stop();
    eprintln!("scaling 1, 3, 2: {report}");
    report.assert_none_failed();
}

#[test]
fn a_killed_replica_fails_only_requests_in_flight_that_must_not_be_repeated() {
    let mut site = Site::start(2);
    let replica = site.replicas.remove(0).1;
    let pid = replica.pid();
    kill_in_flight(site.port, || signal(pid, "STOP"), || drop(replica));
    Load::start(site.port).stop().assert_none_failed();
}

#[test]
fn a_restart_of_redis_gives_503_and_nothing_else() {
    let mut site = Site::start(2);
    let load = Load::start(site.port);
    site.redis.kill();
    load.wait_for_more();
    site.redis.restart();
    let ready = || site.send("GET", "/readyz", &[], None).status == 200;
    wait_until("the load balancer finds the replicas ready", ready);
    let report = load.stop();
    eprintln!("restart of Redis: {report}");
    let failures = report.failures();
    assert!(!failures.is_empty());
    assert!(failures.iter().all(|(_, status)| *status == Some(503)), "{failures:?}");
    Load::start(site.port).stop().assert_none_failed();
}

#[test]
fn a_full_store_keeps_token_checks_reachable() {
    let site = Site::start(2);
    let session = new_session(site.port);
    let () = site.redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let full = Instant::now();
    // The load balancer would remove a replica that is not ready within 0.6 s.
    while full.elapsed() < Duration::from_secs(4) {
        let answer = site.send("GET", "/user", &[("Authorization", &session.access_token)], None);
        assert_eq!(answer.status, 200, "{answer:?}");
        let account = json!({"email": unique_email(), "password": PASSWORD}).to_string();
        let answer = site.send("POST", "/signup", &[("Content-Type", "application/json")], Some(&account));
        answer.assert_error(503, "store_out_of_memory");
    }
}
