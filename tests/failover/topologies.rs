//! Sentinel and Cluster: what clients see while primaries change.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use crate::support::{
    METRICS, MovingSlot, PASSWORD, RedisServer, SECOND, SERVICE, Session, TestApp, assert_away, assert_no_route_lies,
    assert_serves, cluster_scene, in_time, key, not_beside_load, sentinel_scene, wait_longer, wait_until,
    wait_until_ready,
};

/// A client without a pause would keep the machine busy.
const PAUSE: Duration = Duration::from_millis(5);

/// Sends requests until the profile of the session is served again. Each answer before that must be a 503
/// within a second. With `must_fail`, there must be at least one 503.
fn assert_away_until_back(app: &TestApp, session: &Session, must_fail: bool) {
    let start = Instant::now();
    let mut failures = 0;
    loop {
        let answer = in_time("GET /user", || app.current_user(&session.access_token));
        if answer.status == 200 && (failures > 0 || !must_fail) {
            break;
        }
        if answer.status != 200 {
            assert_away(&answer);
            failures += 1;
        }
        assert_no_route_lies(app, session);
        assert!(start.elapsed() < 20 * SECOND, "service is not back: {}", app.output());
        sleep(PAUSE);
    }
    wait_until_ready(app, session);
    assert!(!app.output().contains("panicked"), "{}", app.output());
}

/// Each worker notices a failover by itself, and the process counts it once.
#[track_caller]
fn assert_failovers(app: &TestApp, count: f64) {
    assert_eq!(app.metric("store_failovers_total"), Some(count), "{}", app.output());
}

/// The number of scripts that a server has run for its clients. A replica gets the writes of scripts, but runs no
/// script.
fn scripts_run(server: &RedisServer) -> u64 {
    // Commands that were in flight when the server froze run before the second INFO.
    let _: String = server.command(&["INFO", "commandstats"]);
    let stats: String = server.command(&["INFO", "commandstats"]);
    let line = stats.lines().find(|line| line.starts_with("cmdstat_evalsha:calls="));
    line.map_or(0, |line| line.split(['=', ',']).nth(1).unwrap().parse().unwrap())
}

#[test]
fn sentinel_primary_killed() {
    let _turn = not_beside_load();
    let (mut sentinels, app, session) = sentinel_scene(&[METRICS]);
    assert_failovers(&app, 0.0);
    sentinels.servers[0].kill();
    assert_away_until_back(&app, &session, true);
    assert_ne!(sentinels.primary(), 0);
    assert_failovers(&app, 1.0);
    assert_serves(&app);
    sentinels.servers[0].restart();
    // Sentinels check an old primary only every ten seconds.
    wait_longer(40, "the old primary is a replica", || sentinels.is_whole());
    assert_serves(&app);
    assert_failovers(&app, 1.0);
}

#[test]
fn sentinel_primary_frozen_and_never_written_to_again() {
    let _turn = not_beside_load();
    let (sentinels, app, session) = sentinel_scene(&[]);
    sentinels.servers[0].freeze();
    assert_away_until_back(&app, &session, true);
    sentinels.servers[0].thaw();
    let before = scripts_run(&sentinels.servers[0]);
    assert!(before > 0, "a sign-in runs scripts");
    for _ in 0..20 {
        assert_serves(&app);
    }
    assert_eq!(scripts_run(&sentinels.servers[0]), before);
    wait_longer(40, "the thawed primary is a replica", || sentinels.is_whole());
    assert_serves(&app);
}

#[test]
fn sentinel_primary_cut_off() {
    let _turn = not_beside_load();
    let (sentinels, app, session) = sentinel_scene(&[]);
    sentinels.networks[0].cut_off();
    assert_away_until_back(&app, &session, true);
    assert_ne!(sentinels.primary(), 0);
    assert_serves(&app);
    // The old primary still has the session, but the server must not ask the old primary.
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    sentinels.networks[0].mend();
    for _ in 0..50 {
        let answer = app.current_user(&session.access_token);
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    wait_longer(40, "the old primary is a replica", || sentinels.is_whole());
    assert_eq!(app.current_user(&session.access_token).status, 401);
}

#[test]
fn sentinel_primary_demoted() {
    let _turn = not_beside_load();
    let (sentinels, app, session) = sentinel_scene(&[]);
    let () = sentinels.ask(0, &["FAILOVER", SERVICE]).unwrap();
    sentinels.wait_for_failover(0);
    assert_away_until_back(&app, &session, false);
    // The server does not wait for replicas here, so the old primary may lose writes until it is a replica.
    wait_longer(40, "the old primary is a replica", || sentinels.is_whole());
    wait_until_ready(&app, &session);
    assert_serves(&app);
}

#[test]
fn sentinels_that_are_gone_cost_nothing() {
    let _turn = not_beside_load();
    let (mut sentinels, app, session) = sentinel_scene(&[]);
    sentinels.keep_sentinels(0);
    for _ in 0..30 {
        assert_eq!(app.current_user(&session.access_token).status, 200);
        sleep(Duration::from_millis(20));
    }
    assert_serves(&app);
}

/// Asserts that the users of `owner` get 503 within a second while `owner` is unavailable, and are served afterwards.
/// All other users are served throughout.
fn assert_only_its_users_wait(app: &TestApp, sessions: &[(usize, Session)], owner: usize) {
    let (_, its) = sessions.iter().find(|(other, _)| *other == owner).unwrap();
    let start = Instant::now();
    let mut failures = 0;
    loop {
        for (_, session) in sessions.iter().filter(|(other, _)| *other != owner) {
            let answer = in_time("a user of another slot", || app.current_user(&session.access_token));
            assert_eq!(answer.status, 200, "{answer:?} after {:?}", start.elapsed());
        }
        let answer = in_time("a user of the slot", || app.current_user(&its.access_token));
        match answer.status {
            200 if failures > 0 => break,
            200 => {}
            _ => {
                assert_away(&answer);
                failures += 1;
            }
        }
        if failures % 5 == 1 {
            assert_no_route_lies(app, its);
        }
        assert!(start.elapsed() < 20 * SECOND, "service is not back: {}", app.output());
        sleep(PAUSE);
    }
    wait_until_ready(app, its);
}

#[test]
fn cluster_primary_killed_and_other_slots_unaffected() {
    let _turn = not_beside_load();
    let (mut cluster, app, sessions) = cluster_scene(&[METRICS]);
    assert_failovers(&app, 0.0);
    let (owner, session) = &sessions[0];
    cluster.servers[*owner].kill();
    assert_only_its_users_wait(&app, &sessions, *owner);
    assert_ne!(cluster.wait_for_failover(*owner, &key(&session.email)), *owner);
    cluster.servers[*owner].restart();
    wait_until("the old primary is a replica", || cluster.is_whole());
    for (_, session) in &sessions {
        assert_eq!(app.current_user(&session.access_token).status, 200);
    }
    assert_serves(&app);
    wait_until("every worker has forgotten the old primary", || app.metric("store_up") == Some(1.0));
    assert_failovers(&app, 1.0);
}

#[test]
fn cluster_primary_frozen_and_other_slots_unaffected() {
    let _turn = not_beside_load();
    let (cluster, app, sessions) = cluster_scene(&[]);
    let (owner, session) = &sessions[0];
    cluster.servers[*owner].freeze();
    assert_only_its_users_wait(&app, &sessions, *owner);
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    cluster.servers[*owner].thaw();
    for _ in 0..50 {
        let answer = app.current_user(&session.access_token);
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    wait_until("the thawed primary is a replica", || cluster.is_whole());
    assert_eq!(app.current_user(&session.access_token).status, 401);
}

#[test]
fn cluster_primary_cut_off() {
    let _turn = not_beside_load();
    let (cluster, app, sessions) = cluster_scene(&[]);
    let (owner, session) = &sessions[0];
    let replica = cluster.replica_of(*owner);
    cluster.networks[*owner].cut_off();
    let its = || in_time("GET /user", || app.current_user(&session.access_token));
    wait_until("the server notices the cut", || its().status == 503);
    for _ in 0..5 {
        assert_away(&its());
        assert_no_route_lies(&app, session);
        assert_eq!(app.current_user(&sessions[1].1.access_token).status, 200);
    }
    // The nodes still hear each other, so no replica takes over by itself.
    let () = cluster.servers[replica].command(&["CLUSTER", "FAILOVER", "FORCE"]);
    wait_until_ready(&app, session);
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    cluster.networks[*owner].mend();
    for _ in 0..50 {
        assert_eq!(app.current_user(&session.access_token).status, 401);
    }
    wait_longer(30, "the old primary is a replica", || cluster.is_whole());
    assert_eq!(app.current_user(&session.access_token).status, 401);
}

#[test]
fn cluster_primary_demoted() {
    let _turn = not_beside_load();
    let (cluster, app, sessions) = cluster_scene(&[]);
    let (owner, session) = &sessions[0];
    let replica = cluster.replica_of(*owner);
    let () = cluster.servers[replica].command(&["CLUSTER", "FAILOVER"]);
    assert_eq!(cluster.wait_for_failover(*owner, &key(&session.email)), replica);
    assert_away_until_back(&app, session, false);
    assert_serves(&app);
}

/// MOVED, ASK and TRYAGAIN: a slot moves key by key, and the server serves its user throughout.
#[test]
fn cluster_slots_that_move_cost_nothing() {
    let _turn = not_beside_load();
    let (cluster, app, sessions) = cluster_scene(&[METRICS]);
    let ((from, session), (to, _)) = (&sessions[0], &sessions[1]);
    let (from, to) = (&cluster.servers[*from], &cluster.servers[*to]);
    let moving = MovingSlot::start(from, to, &session.email);
    let assert_served = |what: &str| {
        for _ in 0..4 {
            let answer = app.current_user(&session.access_token);
            assert_eq!(answer.status, 200, "{what}: {answer:?}");
        }
        let answer = app.refresh_access_token(&session.refresh_token);
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
    };
    assert_served("before the first key has moved");
    let keys = moving.keys();
    assert!(keys.len() > 3, "{keys:?}");
    // While the keys are on two nodes, commands get TRYAGAIN.
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| in_time("GET /user", || app.current_user(&session.access_token)));
        for key in &keys {
            moving.move_key(key);
        }
        let answer = asking.join().unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    });
    assert_served("after the last key has moved");
    // A command that writes new keys beside moved ones gets TRYAGAIN until the slot itself has moved.
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| in_time("POST /authenticate", || app.authenticate(&session.email, PASSWORD)));
        moving.finish();
        let answer = asking.join().unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    });
    assert_served("after the slot has moved");
    assert_failovers(&app, 0.0);
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    assert_eq!(app.current_user(&session.access_token).status, 401);
}
