//! Failures of Redis: the answer is 503 and never 401, and the server recovers by itself.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::trouble::{ALL, DURABLE, LOST, Route, Scene, assert_away, in_time};
use crate::support::{Proxy, RedisServer, SECOND, Session, TestApp, every_worker, raw, unique_email, wait_until};

#[test]
fn redis_killed_is_503_until_it_is_back() {
    let mut scene = Scene::start(DURABLE);
    scene.redis.kill();
    // Long enough for the pause between two attempts to connect to reach its maximum.
    let killed = Instant::now();
    while killed.elapsed() < 3 * SECOND {
        scene.assert_away(ALL, LOST);
    }
    scene.redis.restart();
    scene.assert_back();
    scene.assert_session_goes_on();
}

#[test]
fn redis_frozen_is_503_until_it_thaws() {
    let scene = Scene::start(&[]);
    scene.redis.freeze();
    scene.assert_away(ALL, LOST);
    scene.redis.thaw();
    scene.assert_back();
    // The removal that timed out may have reached Redis, so the session may have ended.
    let session = scene.app.session_of(&scene.session.email);
    assert_eq!(scene.app.current_user(&session.access_token).status, 200);

    // Reads change nothing, so the session survives a freeze during which clients only read.
    scene.redis.freeze();
    assert_away(&in_time(|| scene.app.current_user(&session.access_token)), LOST, "GET /user");
    scene.wait_until_every_worker_says(LOST);
    scene.redis.thaw();
    scene.assert_back();
    assert_eq!(scene.app.current_user(&session.access_token).status, 200);
}

#[test]
fn redis_frozen_amid_requests_is_503_within_a_second() {
    let scene = Scene::start(&[]);
    let deadline = Instant::now() + Duration::from_millis(1_500);
    thread::scope(|scope| {
        for route in [Route::CurrentUser, Route::Refresh, Route::CurrentUser, Route::Refresh] {
            let scene = &scene;
            scope.spawn(move || {
                while Instant::now() < deadline {
                    let answer = in_time(|| scene.call(route));
                    if answer.status != 200 {
                        assert_away(&answer, LOST, &format!("{route:?}"));
                    }
                }
            });
        }
        wait_until("the clients send requests", || scene.app.log().len() > 20);
        scene.redis.freeze();
    });
    scene.assert_away(&[Route::CurrentUser], LOST);
    scene.redis.thaw();
    scene.assert_back();
    scene.assert_session_goes_on();
}

/// Like a firewall that has forgotten its connections: it drops their packets, and accepts only new connections.
#[test]
fn a_connection_that_swallows_everything_is_replaced() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::start(redis.port());
    let app = TestApp::start_on(&format!("redis://127.0.0.1:{}", proxy.port()), &[]);
    let session = app.new_session();
    let scene = Scene { redis, app, session };
    for _ in 0..2 {
        proxy.forget_connections();
        let start = Instant::now();
        let read = raw::request("GET", "/user", &[("Authorization", &scene.session.access_token)], None);
        wait_until("every worker has a new connection", || {
            every_worker(scene.app.port(), &read, |answer| {
                assert!([200, 503].contains(&answer.status), "{answer:?}");
                answer.status == 200
            })
        });
        assert!(start.elapsed() < 3 * SECOND, "{:?}", start.elapsed());
    }
    scene.assert_session_goes_on();
}

#[test]
fn redis_restarted_keeps_sessions_and_service() {
    let mut scene = Scene::start(DURABLE);
    for _ in 0..3 {
        scene.redis.kill();
        scene.redis.restart();
        scene.assert_back();
        assert_eq!(scene.call(Route::CurrentUser).status, 200);
        assert_eq!(scene.call(Route::Refresh).status, 200, "the restarted Redis does not know the script yet");
    }
    scene.assert_session_goes_on();
}

#[test]
fn redis_made_a_replica_is_503_for_reads_too() {
    let scene = Scene::start(&[]);
    scene.redis.command::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    // A replica answers reads, so only the background check notices the change.
    let read = raw::request("GET", "/user", &[("Authorization", &scene.session.access_token)], None);
    wait_until("reads are refused", || every_worker(scene.app.port(), &read, |answer| answer.status == 503));
    scene.assert_away(ALL, &["store_read_only"]);
    scene.redis.command::<()>(&["REPLICAOF", "NO", "ONE"]);
    scene.assert_back();
    scene.assert_session_goes_on();
}

#[test]
fn redis_out_of_memory_is_503_for_what_needs_memory() {
    let scene = Scene::start(&[]);
    scene.redis.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    scene.assert_reads_only(&[Route::SignUp, Route::Authenticate, Route::Refresh], "store_out_of_memory");
    assert_eq!(scene.call(Route::Remove).status, 200, "a removal needs no memory");
    assert_eq!(scene.call(Route::CurrentUser).status, 401);
    scene.redis.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    scene.assert_back();
    assert_eq!(scene.app.send("GET", "/readyz", &[], None).json(), json!({"result": "Ready"}));
    let session = scene.app.session_of(&scene.session.email);
    assert_eq!(scene.app.current_user(&session.access_token).status, 200);
}

#[test]
fn redis_loading_is_503_until_it_has_loaded() {
    const KEYS: &str = "for i = 1, 4000 do redis.call('SET', 'filler' .. i, string.rep('x', 200)) end";
    let mut scene = Scene::start(&["--rdbcompression", "no"]);
    scene.redis.command::<()>(&["EVAL", KEYS, "0"]);
    scene.redis.command::<()>(&["SAVE"]);
    scene.redis.kill();
    // With these arguments, Redis loads slowly and answers clients between the keys.
    scene.redis.spawn(&["--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024"]);
    scene.wait_until_every_worker_says(&["store_loading"]);
    scene.assert_away(ALL, &["store_loading"]);
    scene.redis.command::<()>(&["CONFIG", "SET", "key-load-delay", "0"]);
    wait_until("Redis has loaded", || {
        redis::cmd("PING").query::<String>(&mut scene.redis.connect()).is_ok_and(|answer| answer == "PONG")
    });
    scene.assert_back();
    scene.assert_session_goes_on();
}

#[test]
fn redis_without_enough_replicas_is_503_for_writes() {
    let scene = Scene::start(&[]);
    scene.redis.command::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let writes = [Route::SignUp, Route::Authenticate, Route::Refresh, Route::Remove];
    scene.assert_reads_only(&writes, "store_not_replicated");
    scene.redis.command::<()>(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    scene.assert_back();
    scene.assert_session_goes_on();
}

/// As with a full disk: Redis cannot save a snapshot, because its directory is gone.
#[test]
fn redis_that_cannot_write_to_its_disk_is_503_for_writes() {
    let scene = Scene::start(&[]);
    scene.redis.lose_directory();
    scene.redis.command::<()>(&["CONFIG", "SET", "save", "3600 1"]);
    scene.redis.command::<()>(&["BGSAVE"]);
    wait_until("the snapshot has failed", || {
        scene.redis.command::<String>(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:err")
    });
    let writes = [Route::SignUp, Route::Authenticate, Route::Refresh, Route::Remove];
    scene.assert_reads_only(&writes, "store_disk_failed");
    scene.redis.command::<()>(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
    scene.assert_back();
    scene.assert_session_goes_on();
}

#[test]
fn redis_busy_with_a_script_is_503() {
    let scene = Scene::start(&["--lua-time-limit", "1"]);
    let (port, forever) = (scene.redis.port(), "while true do end");
    thread::scope(|scope| {
        scope.spawn(move || {
            let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
            redis::cmd("EVAL").arg(&[forever, "0"]).exec(&mut client.get_connection().unwrap())
        });
        scene.wait_until_every_worker_says(&["store_busy"]);
        scene.assert_away(ALL, &["store_busy"]);
        scene.redis.command::<()>(&["SCRIPT", "KILL"]);
    });
    scene.assert_back();
    scene.assert_session_goes_on();
}

#[test]
fn redis_password_changed_is_503_until_it_is_right_again() {
    let redis = RedisServer::start(&[]);
    // Redis answers NOAUTH to a client without a password, and WRONGPASS to a client with a wrong password.
    let mut admin = redis.connect();
    let mut set_password = |password: &str| {
        redis::cmd("CONFIG").arg(&["SET", "requirepass", password]).exec(&mut admin).unwrap();
        redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).exec(&mut admin).unwrap();
    };
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    let mut scene = Scene { redis, app, session };
    set_password("first-planted");
    scene.wait_until_every_worker_says(&["store_refused"]);
    scene.assert_away(ALL, &["store_refused"]);
    set_password("");
    scene.assert_back();
    scene.assert_session_goes_on();

    set_password("first-planted");
    let url = format!("redis://:first-planted@127.0.0.1:{}", scene.redis.port());
    scene.app = TestApp::start_on(&url, &[]);
    scene.session = scene.app.new_session();
    set_password("second-planted");
    scene.wait_until_every_worker_says(&["store_refused"]);
    scene.assert_away(ALL, &["store_refused"]);
    set_password("first-planted");
    scene.assert_back();
    scene.assert_session_goes_on();
    assert!(!scene.app.output().contains("planted"), "{}", scene.app.output());
}

#[test]
fn a_command_that_the_acl_forbids_stops_no_other_command() {
    let redis = RedisServer::start(&[]);
    redis.command::<()>(&["ACL", "SETUSER", "svc", "on", ">pw", "~as:*", "+@all"]);
    let app = TestApp::start_on(&format!("redis://svc:pw@127.0.0.1:{}", redis.port()), &[]);
    let session = app.new_session();
    // The test removes the right after the start, because the server does not start without it.
    redis.command::<()>(&["ACL", "SETUSER", "svc", "-mget"]);
    let scene = Scene { redis, app, session };
    for _ in 0..20 {
        assert_away(&scene.call(Route::CurrentUser), &["store_not_permitted"], "GET /user");
        assert_eq!(scene.call(Route::Authenticate).status, 200, "other commands still work");
    }
    scene.app.send("GET", "/readyz", &[], None).assert_error(503, "store_not_permitted");
}

#[test]
fn a_server_started_before_redis_becomes_ready_with_it() {
    let mut redis = RedisServer::start(&[]);
    redis.kill();
    let app = TestApp::start_on(&redis.url(), &[]);
    let nobody = || Session { email: unique_email(), access_token: String::new(), refresh_token: String::new() };
    let mut scene = Scene { redis, app, session: nobody() };
    // The other routes refuse these tokens without the store, because the tokens are not genuine.
    scene.assert_away(&[Route::SignUp, Route::Authenticate, Route::Remove], LOST);
    scene.redis.restart();
    scene.assert_back();
    scene.session = scene.app.new_session();
    scene.assert_session_goes_on();
}
