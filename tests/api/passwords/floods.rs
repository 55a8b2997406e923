//! Floods of sign-ins and sign-ups: the server still serves all other requests, and the sign-ins and sign-ups of other
//! clients.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::support::{
    Connection, Data, METRICS, PASSWORD, PROXY, RedisServer, Session, Store, TestApp, alone, assert_throttled, raw,
    signal, unique_address, unique_email, wait_longer,
};

/// The hashes are so costly that [`CLIENTS`] request more of them than the server can compute before the deadline.
const COSTLY: [(&str, &str); 5] =
    [METRICS, PROXY, ("REQUEST_TIMEOUT_SECONDS", "20"), ("ARGON2_MEMORY_KIB", "19456"), ("ARGON2_ITERATIONS", "32")];
/// The number of clients for each core, because the cores hash in parallel.
const CLIENTS: usize = 60;
const LONG: [(&str, &str); 2] = [("ACCESS_TOKEN_TTL_SECONDS", "3600"), ("REFRESH_TOKEN_TTL_SECONDS", "3600")];

/// A server with costly hashes, and a session that a server with cheap hashes has opened.
fn start() -> (TestApp, Session) {
    let data = Data::new(Store::Embedded);
    let session = data.start(&LONG).new_session();
    (data.start(&COSTLY), session)
}

/// Clients of one address that sign in without pause, each time with another email.
struct Flood<'a> {
    app: &'a TestApp,
    overloaded: AtomicUsize,
}

impl Flood<'_> {
    fn client(&self) {
        let mut connection = Connection::open(self.app.port());
        loop {
            let body = json!({"email": unique_email(), "password": PASSWORD}).to_string();
            let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", "192.0.2.66")];
            let sent = connection.write(&raw::request("POST", "/authenticate", &headers, Some(&body)));
            // At the end of the test, the server is gone.
            let Some(answer) = sent.ok().and_then(|()| connection.read()) else { return };
            if answer.status == 401 {
                continue;
            }
            // A busy machine may hash more slowly than the server has estimated.
            let late = answer.json()["code"] == "deadline_exceeded";
            answer.assert_error(503, if late { "deadline_exceeded" } else { "overloaded" });
            assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
            self.overloaded.fetch_add(usize::from(!late), Ordering::Relaxed);
            // Without a pause, refusals and not hashes would keep the machine busy.
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Kills the server, which ends the flood, even if the test panics.
struct Ended<'a>(&'a TestApp);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        signal(self.0.pid(), "KILL");
    }
}

#[test]
fn a_flood_of_sign_ins_stops_neither_token_checks_nor_the_sign_ins_of_others() {
    let _turn = alone();
    let (app, session) = start();
    let cores = thread::available_parallelism().unwrap().get();
    let flood = Flood { app: &app, overloaded: AtomicUsize::new(0) };
    thread::scope(|scope| {
        let _ended = Ended(&app);
        for _ in 0..CLIENTS * cores {
            scope.spawn(|| flood.client());
        }
        wait_longer(60, "the server refuses sign-ins", || flood.overloaded.load(Ordering::Relaxed) >= 20);
        let metric = |name: &str| app.metric(name).unwrap();
        assert!(metric("hashing_refused_total{reason=\"late\"}") >= 20.0);
        // Between two passwords, a thread is idle for a moment.
        let all_hash = || metric("hashing_queue_length") > 0.0 && metric("hashing_threads_busy") == cores as f64;
        wait_longer(10, "all threads hash, and passwords wait", all_hash);
        for _ in 0..100 {
            assert_eq!(app.send("GET", "/livez", &[], None).status, 200);
            assert_eq!(app.current_user(&session.access_token).status, 200);
        }
        for _ in 0..3 {
            wait_longer(60, "another address signs in", || {
                let answer = app.authenticate_from("203.0.113.5", &session.email, PASSWORD);
                // Other programs may take the cores from hashing, so that no password is hashed within the deadline.
                if answer.status == 503 {
                    let late = answer.json()["code"] == "deadline_exceeded";
                    answer.assert_error(503, if late { "deadline_exceeded" } else { "overloaded" });
                    return false;
                }
                assert_eq!(answer.status, 200, "{answer:?}");
                true
            });
        }
        let peak = app.memory("VmHWM");
        assert!(peak < 100 + cores * 40, "{peak} MiB, though a hash takes 19 MiB and {cores} run at a time");
    });
}

/// With the default limit, an office of three hundred people can sign up in an hour. One that floods gets no further,
/// and the smallest Redis stays nearly empty.
#[test]
fn a_flood_of_sign_ups_fills_no_redis_of_64_mb_and_stops_no_other_client() {
    const LIMIT: usize = 300;
    const FLOODERS: usize = 8;
    let _turn = alone();
    let redis = RedisServer::start(&["--maxmemory", "64mb", "--maxmemory-policy", "noeviction"]);
    let used = || {
        let info: String = redis.command(&["INFO", "memory"]);
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        line.parse::<usize>().unwrap()
    };
    // An empty value stands for the default.
    let app = TestApp::start_on(&redis.url(), &[PROXY, ("SIGNUP_LIMIT_PER_HOUR", "")]);
    let sign_up_from = |address: &str| {
        let body = json!({"email": unique_email(), "password": PASSWORD}).to_string();
        app.send("POST", "/signup", &[("X-Forwarded-For", address)], Some(&body))
    };
    let (flood, before) = (unique_address(), used());
    let created = thread::scope(|scope| {
        let client = || {
            let answers = (0..2 * LIMIT / FLOODERS).map(|_| sign_up_from(&flood));
            let (created, refused): (Vec<_>, Vec<_>) = answers.partition(|answer| answer.status == 201);
            refused.iter().for_each(|answer| assert!(assert_throttled(answer) > 3_000));
            created.len()
        };
        let clients: Vec<_> = (0..FLOODERS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum::<usize>()
    });
    assert_eq!(created, LIMIT);
    let added = used() - before;
    assert!(added < 1_000_000, "{LIMIT} accounts take {added} bytes");
    assert_eq!(sign_up_from(&unique_address()).status, 201, "another client signs up");
    assert_throttled(&sign_up_from(&flood));
    let session = app.new_session();
    session.assert_lives([&app]);
}
