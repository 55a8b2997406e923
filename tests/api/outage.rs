//! Redis in every kind of trouble: 503 and never 401, and good again by itself.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    app::{PASSWORD, Session, TestApp, unique_email},
    proxy::Proxy,
    raw::{self, Answer, Connection},
    redis_server::{RedisServer, wait_until},
    suite,
};

suite! {
    redis: [
        redis_killed_is_503_until_it_is_back,
        redis_frozen_is_503_until_it_goes_on,
        redis_frozen_amid_requests_is_heard_of_within_a_second_by_each,
        a_connection_that_swallows_everything_is_replaced,
        redis_restarted_keeps_sessions_and_service,
        redis_made_a_replica_is_503_for_reads_too,
        redis_out_of_memory_is_503_for_what_needs_memory,
        redis_without_enough_replicas_is_503_for_writes,
        redis_password_changed_under_us_is_503_until_it_is_right_again,
        a_command_that_the_acl_forbids_does_not_cost_the_connection,
        a_server_started_before_redis_becomes_ready_with_it,
    ]
    slow_loading: [redis_loading_is_503_until_it_has_loaded]
}

/// What the contract gives a client to wait for, and us to be back.
const SECOND: Duration = Duration::from_secs(1);

/// Otherwise a kill loses up to two seconds of acknowledged writes.
const DURABLE: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

const LOST: &[&str] = &["store_unreachable", "store_timeout"];

/// One server of ours on a Redis of its own, with a session from before the trouble.
struct Scene {
    redis: RedisServer,
    app: TestApp,
    session: Session,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    SignUp,
    Authenticate,
    CurrentUser,
    Refresh,
    Remove,
}

const ALL: &[Route] = &[Route::SignUp, Route::Authenticate, Route::CurrentUser, Route::Refresh, Route::Remove];

impl Scene {
    fn start(redis_arguments: &[&str]) -> Self {
        let redis = RedisServer::start(redis_arguments);
        let app = TestApp::start_on(&redis.url(), &[]);
        let session = app.new_session();
        Self { redis, app, session }
    }

    fn call(&self, route: Route) -> Answer {
        let Session { email, access_token, refresh_token } = &self.session;
        match route {
            Route::SignUp => self.app.sign_up(&unique_email(), PASSWORD),
            Route::Authenticate => self.app.authenticate(email, PASSWORD),
            Route::CurrentUser => self.app.current_user(access_token),
            Route::Refresh => self.app.refresh_access_token(refresh_token),
            Route::Remove => self.app.remove_access_token(email),
        }
    }

    /// Each within a second: 503 with one of `codes` from `away` and from `/readyz`; the process itself is well.
    fn assert_away(&self, away: &[Route], codes: &[&str]) {
        for round in 0..3 {
            for &route in away {
                let answer = in_time(|| self.call(route));
                assert_away(&answer, codes, &format!("{route:?} in round {round}"));
            }
            let ready = in_time(|| self.app.send("GET", "/readyz", &[], None));
            assert_away(&ready, codes, "/readyz");
            in_time(|| self.app.send("GET", "/livez", &[], None)).assert(200, &json!({"result": "Alive"}));
        }
        self.assert_no_panic();
    }

    fn assert_no_panic(&self) {
        let output = self.app.output();
        assert!(!output.contains("panicked"), "{output}");
    }

    /// From now on, every worker is ready within a second.
    fn assert_back(&self) {
        let start = Instant::now();
        wait_until("every worker is ready", || self.every_worker("/readyz", |answer| answer.status == 200));
        let took = start.elapsed();
        assert!(took < SECOND, "back after {took:?}: {}", self.app.output());
        self.assert_no_panic();
    }

    /// The tokens of before the trouble are as good as new ones; ends by removing them.
    fn assert_session_goes_on(&self) {
        for (route, status) in [
            (Route::CurrentUser, 200),
            (Route::Refresh, 200),
            (Route::SignUp, 201),
            (Route::Authenticate, 200),
            (Route::Remove, 200),
            (Route::CurrentUser, 401),
        ] {
            let answer = self.call(route);
            assert_eq!(answer.status, status, "{route:?}: {answer:?}");
        }
    }

    /// Asks on as many connections at once as reach every worker, since each has its own link to Redis.
    fn every_worker(&self, path: &str, holds: impl Fn(&Answer) -> bool) -> bool {
        every_worker(self.app.port(), &raw::request("GET", path, &[], None), holds)
    }

    fn wait_until_every_worker_says(&self, codes: &[&str]) {
        wait_until("every worker has noticed", || {
            self.every_worker("/readyz", |answer| {
                answer.status == 503 && answer.json()["code"].as_str().is_some_and(|code| codes.contains(&code))
            })
        });
    }
}

/// The listener hands a connection to the worker that has the fewest.
pub(crate) fn every_worker(port: u16, request: &[u8], holds: impl Fn(&Answer) -> bool) -> bool {
    let workers = thread::available_parallelism().unwrap().get();
    let mut connections: Vec<_> = (0..2 * workers).map(|_| Connection::open(port)).collect();
    connections.iter_mut().all(|connection| {
        connection.write(request).unwrap();
        holds(&connection.read().unwrap())
    })
}

#[track_caller]
fn assert_away(answer: &Answer, codes: &[&str], what: &str) {
    assert_eq!(answer.status, 503, "{what}: {answer:?}");
    let body = answer.json();
    let code = body["code"].as_str().unwrap();
    assert!(codes.contains(&code), "{what}: {code} is none of {codes:?}");
    answer.assert_error(503, code);
}

#[track_caller]
fn in_time(request: impl FnOnce() -> Answer) -> Answer {
    let start = Instant::now();
    let answer = request();
    let took = start.elapsed();
    assert!(took < SECOND, "{took:?} for {answer:?}");
    answer
}

fn redis_killed_is_503_until_it_is_back() {
    let mut scene = Scene::start(DURABLE);
    scene.redis.kill();
    // Long enough for a pause between two tries to grow beyond the second that it may take to come back.
    let killed = Instant::now();
    while killed.elapsed() < 3 * SECOND {
        scene.assert_away(ALL, LOST);
    }
    scene.redis.restart();
    scene.assert_back();
    scene.assert_session_goes_on();
}

fn redis_frozen_is_503_until_it_goes_on() {
    let scene = Scene::start(&[]);
    scene.redis.freeze();
    scene.assert_away(ALL, LOST);
    scene.redis.thaw();
    scene.assert_back();
    // The removal that timed out may have reached Redis, so the session of before proves nothing here.
    let session = scene.app.session_of(&scene.session.email);
    assert_eq!(scene.app.current_user(&session.access_token).status, 200);

    // Reads cannot have changed anything: after a freeze that only they saw, the session goes on.
    scene.redis.freeze();
    assert_away(&in_time(|| scene.app.current_user(&session.access_token)), LOST, "GET /user");
    scene.wait_until_every_worker_says(LOST);
    scene.redis.thaw();
    scene.assert_back();
    assert_eq!(scene.app.current_user(&session.access_token).status, 200);
}

fn redis_frozen_amid_requests_is_heard_of_within_a_second_by_each() {
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
        wait_until("requests flow", || scene.app.log().len() > 20);
        scene.redis.freeze();
    });
    scene.assert_away(&[Route::CurrentUser], LOST);
    scene.redis.thaw();
    scene.assert_back();
    scene.assert_session_goes_on();
}

/// As behind a firewall that has forgotten a connection: only a new one gets through.
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

fn redis_restarted_keeps_sessions_and_service() {
    let mut scene = Scene::start(DURABLE);
    for _ in 0..3 {
        scene.redis.kill();
        scene.redis.restart();
        scene.assert_back();
        assert_eq!(scene.call(Route::CurrentUser).status, 200);
        assert_eq!(scene.call(Route::Refresh).status, 200, "a script, which the restarted Redis does not know yet");
    }
    scene.assert_session_goes_on();
}

fn redis_made_a_replica_is_503_for_reads_too() {
    let scene = Scene::start(&[]);
    scene.redis.command::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    // It goes on answering reads, so only the background can notice: nothing is written until it has.
    let read = raw::request("GET", "/user", &[("Authorization", &scene.session.access_token)], None);
    wait_until("reads are refused", || every_worker(scene.app.port(), &read, |answer| answer.status == 503));
    scene.assert_away(ALL, &["store_read_only"]);
    scene.redis.command::<()>(&["REPLICAOF", "NO", "ONE"]);
    scene.assert_back();
    scene.assert_session_goes_on();
}

fn redis_out_of_memory_is_503_for_what_needs_memory() {
    let scene = Scene::start(&[]);
    scene.redis.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    scene.assert_away(&[Route::SignUp, Route::Authenticate, Route::Refresh], &["store_out_of_memory"]);
    assert_eq!(scene.call(Route::CurrentUser).status, 200, "a read needs no memory");
    assert_eq!(scene.call(Route::Remove).status, 200, "nor does a removal");
    assert_eq!(scene.call(Route::CurrentUser).status, 401);
    scene.redis.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    scene.assert_back();
    let session = scene.app.session_of(&scene.session.email);
    assert_eq!(scene.app.current_user(&session.access_token).status, 200);
}

fn redis_loading_is_503_until_it_has_loaded() {
    const KEYS: &str = "for i = 1, 4000 do redis.call('SET', 'filler' .. i, string.rep('x', 200)) end";
    let mut scene = Scene::start(&["--rdbcompression", "no"]);
    scene.redis.command::<()>(&["EVAL", KEYS, "0"]);
    scene.redis.command::<()>(&["SAVE"]);
    scene.redis.kill();
    // Slow, and with an ear for clients every few keys; the delay is taken away when we have seen enough.
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

fn redis_without_enough_replicas_is_503_for_writes() {
    let scene = Scene::start(&[]);
    scene.redis.command::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let writes = [Route::SignUp, Route::Authenticate, Route::Refresh, Route::Remove];
    scene.assert_away(&writes, &["store_not_replicated"]);
    assert_eq!(scene.call(Route::CurrentUser).status, 200, "a read");
    scene.redis.command::<()>(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    scene.assert_back();
    scene.assert_session_goes_on();
}

fn redis_password_changed_under_us_is_503_until_it_is_right_again() {
    let redis = RedisServer::start(&[]);
    // NOAUTH for one that has no password, WRONGPASS for one that has another.
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

fn a_command_that_the_acl_forbids_does_not_cost_the_connection() {
    let redis = RedisServer::start(&[]);
    redis.command::<()>(&["ACL", "SETUSER", "svc", "on", ">pw", "~as:*", "+@all"]);
    let app = TestApp::start_on(&format!("redis://svc:pw@127.0.0.1:{}", redis.port()), &[]);
    let session = app.new_session();
    // Forbidden from the start, it would have stopped the start.
    redis.command::<()>(&["ACL", "SETUSER", "svc", "-mget"]);
    let scene = Scene { redis, app, session };
    for _ in 0..20 {
        assert_away(&scene.call(Route::CurrentUser), &["store_refused"], "GET /user");
        assert_eq!(scene.call(Route::Authenticate).status, 200, "the others go on");
    }
}

fn a_server_started_before_redis_becomes_ready_with_it() {
    let mut redis = RedisServer::start(&[]);
    redis.kill();
    let app = TestApp::start_on(&redis.url(), &[]);
    let nobody = || Session { email: unique_email(), access_token: String::new(), refresh_token: String::new() };
    let mut scene = Scene { redis, app, session: nobody() };
    // A token that is not one of ours is refused without asking the store.
    scene.assert_away(&[Route::SignUp, Route::Authenticate, Route::Remove], LOST);
    scene.redis.restart();
    scene.assert_back();
    scene.session = scene.app.new_session();
    scene.assert_session_goes_on();
}
