//! Sentinel and Cluster: which server is talked to, and what clients see while that changes.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use auth_service::user::Email;
use serde_json::json;

use crate::{
    app::{PASSWORD, Session, TestApp, unique_email},
    outage::every_worker,
    raw::{self, Answer},
    redis_server::{RedisServer, wait_longer, wait_until},
    runner::alone,
    suite,
    topology::{Cluster, SERVICE, Sentinels},
};

suite! {
    redis: [
        sentinel_primary_killed,
        sentinel_primary_frozen_and_never_written_to_again,
        sentinel_primary_cut_off,
        sentinel_primary_demoted,
        sentinels_that_are_gone_cost_nothing,
        cluster_primary_killed_and_other_slots_unaffected,
        cluster_primary_frozen_and_other_slots_unaffected,
        cluster_primary_cut_off,
        cluster_primary_demoted,
        cluster_slots_that_move_cost_nothing,
    ]
}

/// What the contract gives a client to wait for.
pub(crate) const SECOND: Duration = Duration::from_secs(1);
const LOST: [&str; 5] = ["store_unreachable", "store_timeout", "store_read_only", "store_refused", "store_loading"];

/// From sign-up to removal.
pub(crate) fn assert_serves(app: &TestApp) {
    let session = app.new_session();
    assert_eq!(app.current_user(&session.access_token).status, 200);
    assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    let answer = app.current_user(&session.access_token);
    assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("invalid_token")), "{answer:?}");
}

pub(crate) fn in_time(what: &str, call: impl FnOnce() -> Answer) -> Answer {
    let start = Instant::now();
    let answer = call();
    assert!(start.elapsed() < SECOND, "{what} took {:?}: {answer:?}", start.elapsed());
    answer
}

/// 503 within a second, with a reason, and never anything else.
#[track_caller]
pub(crate) fn assert_away(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    let body = answer.json();
    assert!(LOST.contains(&body["code"].as_str().unwrap()), "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

/// Each other route that needs the store and that leaves the session as it is: served, or 503 within a second.
pub(crate) fn assert_no_route_lies(app: &TestApp, session: &Session) {
    let Session { email, access_token, refresh_token } = session;
    let account = json!({"email": email, "password": PASSWORD});
    let unchanged = json!({"current_password": PASSWORD, "new_password": PASSWORD});
    let nobody = json!({"email": unique_email()});
    let routes = [
        ("POST", "/signup", Some(json!({"email": unique_email(), "password": PASSWORD}))),
        ("POST", "/authenticate", Some(account)),
        ("POST", "/refresh-access-token", Some(json!({"refresh_token": refresh_token}))),
        ("DELETE", "/access-token", Some(nobody)),
        ("GET", "/sessions", None),
        ("DELETE", "/sessions/AAAAAAAAAAAAAAAAAAAAAA", None),
        ("DELETE", "/sessions?except=current", None),
        ("PUT", "/user/password", Some(unchanged)),
        ("DELETE", "/user", Some(json!({"password": "not the password"}))),
        ("GET", "/readyz", None),
    ];
    for (method, path, body) in routes {
        // A removal for somebody else takes no token along.
        let authorization = [("Authorization", access_token.as_str())];
        let headers = if path.starts_with("/user") || path.starts_with("/sessions") { &authorization[..] } else { &[] };
        let start = Instant::now();
        let answer = app.send(method, path, headers, body.map(|body| body.to_string()).as_deref());
        let took = start.elapsed();
        match answer.status {
            503 => {
                assert_away(&answer);
                assert!(took < SECOND, "{method} {path} took {took:?}: {answer:?}");
            }
            status => assert!(status < 500 && status != 401, "{method} {path}: {answer:?}"),
        }
    }
}

/// Asks for the session's user, and all the rest, without pause until it is told again: until then it hears 503 within a
/// second each time. At least once if `must_fail`.
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
    }
    wait_until_ready(app, session);
    assert!(!app.output().contains("panicked"), "{}", app.output());
}

/// Each of its workers has links of its own.
pub(crate) fn wait_until_ready(app: &TestApp, session: &Session) {
    let headers = [("Authorization", session.access_token.as_str())];
    let request = raw::request("GET", "/user", &headers, None);
    wait_until("every worker serves", || every_worker(app.port(), &request, |answer| answer.status == 200));
}

/// Sentinels, a server of ours, and a session that both replicas have.
pub(crate) fn sentinel_scene(settings: &[(&str, &str)]) -> (Sentinels, TestApp, Session) {
    let sentinels = Sentinels::start();
    let app = TestApp::start_on(&sentinels.url(), settings);
    let session = app.new_session();
    let replicated: u32 = wait_for_replicas(&sentinels.servers[0]);
    assert_eq!(replicated, 2);
    (sentinels, app, session)
}

/// Until the replicas have what was written.
pub(crate) fn wait_for_replicas(primary: &RedisServer) -> u32 {
    let mut connection = primary.connect();
    let (replicas,): (u32,) = redis::pipe()
        .cmd("SET")
        .arg(&["marker", "1", "EX", "60"])
        .ignore()
        .cmd("WAIT")
        .arg(&[2, 5_000])
        .query(&mut connection)
        .unwrap();
    replicas
}

/// How many scripts a server has run. Only a client of its own has it run one: replicas get what scripts write.
fn scripts_run(server: &RedisServer) -> u64 {
    // What was on the wire when it froze comes before the second question.
    let _: String = server.command(&["INFO", "commandstats"]);
    let stats: String = server.command(&["INFO", "commandstats"]);
    let line = stats.lines().find(|line| line.starts_with("cmdstat_evalsha:calls="));
    line.map_or(0, |line| line.split(['=', ',']).nth(1).unwrap().parse().unwrap())
}

fn sentinel_primary_killed() {
    let _turn = alone();
    let (mut sentinels, app, session) = sentinel_scene(&[]);
    sentinels.servers[0].kill();
    assert_away_until_back(&app, &session, true);
    assert_ne!(sentinels.primary(), 0);
    assert_serves(&app);
    sentinels.servers[0].restart();
    // Sentinels look at it every ten seconds.
    wait_longer(40, "the old primary follows", || sentinels.is_whole());
    assert_serves(&app);
}

fn sentinel_primary_frozen_and_never_written_to_again() {
    let _turn = alone();
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
    wait_longer(40, "the woken primary follows", || sentinels.is_whole());
    assert_serves(&app);
}

fn sentinel_primary_cut_off() {
    let _turn = alone();
    let (sentinels, app, session) = sentinel_scene(&[]);
    sentinels.networks[0].cut_off();
    assert_away_until_back(&app, &session, true);
    assert_ne!(sentinels.primary(), 0);
    assert_serves(&app);
    // The one that was cut off knows the session still, and nobody asks it.
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    sentinels.networks[0].mend();
    for _ in 0..50 {
        let answer = app.current_user(&session.access_token);
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    wait_longer(40, "the one that was cut off follows", || sentinels.is_whole());
    assert_eq!(app.current_user(&session.access_token).status, 401);
}

fn sentinel_primary_demoted() {
    let _turn = alone();
    let (sentinels, app, session) = sentinel_scene(&[]);
    let () = sentinels.ask(0, &["FAILOVER", SERVICE]).unwrap();
    sentinels.wait_for_failover(0);
    assert_away_until_back(&app, &session, false);
    // Until it follows, the old primary may take writes that are lost: these do not wait for replicas.
    wait_longer(40, "the old primary follows", || sentinels.is_whole());
    wait_until_ready(&app, &session);
    assert_serves(&app);
}

fn sentinels_that_are_gone_cost_nothing() {
    let _turn = alone();
    let (mut sentinels, app, session) = sentinel_scene(&[]);
    sentinels.keep_sentinels(0);
    for _ in 0..30 {
        assert_eq!(app.current_user(&session.access_token).status, 200);
        sleep(Duration::from_millis(20));
    }
    assert_serves(&app);
}

/// The slot of a user's keys on its way to another node: what is asked of it meanwhile is ASK or TRYAGAIN, later MOVED.
pub(crate) struct MovingSlot<'c> {
    from: &'c RedisServer,
    to: &'c RedisServer,
    slot: String,
    new_owner: String,
}

impl<'c> MovingSlot<'c> {
    pub(crate) fn start(from: &'c RedisServer, to: &'c RedisServer, email: &str) -> Self {
        let slot = from.command::<u16>(&["CLUSTER", "KEYSLOT", &key(email)]).to_string();
        let (owner, new_owner): (String, String) =
            (from.command(&["CLUSTER", "MYID"]), to.command(&["CLUSTER", "MYID"]));
        let () = to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &owner]);
        let () = from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &new_owner]);
        Self { from, to, slot, new_owner }
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.from.command(&["CLUSTER", "GETKEYSINSLOT", &self.slot, "100"])
    }

    pub(crate) fn move_key(&self, key: &str) {
        self.from.command::<()>(&["MIGRATE", "127.0.0.1", &self.to.port().to_string(), key, "0", "5000"]);
    }

    pub(crate) fn finish(&self) {
        for server in [self.to, self.from] {
            server.command::<()>(&["CLUSTER", "SETSLOT", &self.slot, "NODE", &self.new_owner]);
        }
    }
}

/// A cluster, a server of ours, and a session on each primary, which the replicas have.
pub(crate) fn cluster_scene(settings: &[(&str, &str)]) -> (Cluster, TestApp, Vec<(usize, Session)>) {
    // Else the whole cluster stops when a part of the slots is away.
    let cluster = Cluster::start(&["--cluster-require-full-coverage", "no"]);
    let app = TestApp::start_on(&cluster.url(), settings);
    let mut sessions: Vec<(usize, Session)> = Vec::new();
    while sessions.len() < 3 {
        let session = app.new_session();
        let owner = cluster.owner(0, &key(&session.email));
        if sessions.iter().all(|(other, _)| *other != owner) {
            cluster.wait_for_replica(&key(&session.email));
            sessions.push((owner, session));
        }
    }
    (cluster, app, sessions)
}

/// A key in the slot of the user's keys.
pub(crate) fn key(email: &str) -> String {
    format!("{{{}}}:tests", Email::parse(email).unwrap().tag())
}

/// While `owner` is gone its users hear 503 within a second, and everybody else is served; then all are again.
fn assert_only_its_users_wait(app: &TestApp, sessions: &[(usize, Session)], owner: usize) {
    let (_, its) = sessions.iter().find(|(other, _)| *other == owner).unwrap();
    let start = Instant::now();
    let mut failures = 0;
    loop {
        for (_, session) in sessions.iter().filter(|(other, _)| *other != owner) {
            let answer = in_time("another slot's user", || app.current_user(&session.access_token));
            assert_eq!(answer.status, 200, "{answer:?} after {:?}", start.elapsed());
        }
        let answer = in_time("the slot's user", || app.current_user(&its.access_token));
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
        sleep(Duration::from_millis(5));
    }
    wait_until_ready(app, its);
}

fn cluster_primary_killed_and_other_slots_unaffected() {
    let _turn = alone();
    let (mut cluster, app, sessions) = cluster_scene(&[]);
    let (owner, session) = &sessions[0];
    cluster.servers[*owner].kill();
    assert_only_its_users_wait(&app, &sessions, *owner);
    assert_ne!(cluster.wait_for_failover(*owner, &key(&session.email)), *owner);
    cluster.servers[*owner].restart();
    wait_until("the old primary follows", || cluster.is_whole());
    for (_, session) in &sessions {
        assert_eq!(app.current_user(&session.access_token).status, 200);
    }
    assert_serves(&app);
}

fn cluster_primary_frozen_and_other_slots_unaffected() {
    let _turn = alone();
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
    wait_until("the woken primary follows", || cluster.is_whole());
    assert_eq!(app.current_user(&session.access_token).status, 401);
}

fn cluster_primary_cut_off() {
    let _turn = alone();
    let (cluster, app, sessions) = cluster_scene(&[]);
    let (owner, session) = &sessions[0];
    let replica = cluster.replica_of(*owner);
    cluster.networks[*owner].cut_off();
    let its = || in_time("GET /user", || app.current_user(&session.access_token));
    wait_until("it is noticed", || its().status == 503);
    for _ in 0..5 {
        assert_away(&its());
        assert_no_route_lies(&app, session);
        assert_eq!(app.current_user(&sessions[1].1.access_token).status, 200);
    }
    // The nodes still hear each other, so nobody takes over by itself.
    let () = cluster.servers[replica].command(&["CLUSTER", "FAILOVER", "FORCE"]);
    wait_until_ready(&app, session);
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    cluster.networks[*owner].mend();
    for _ in 0..50 {
        assert_eq!(app.current_user(&session.access_token).status, 401);
    }
    wait_longer(30, "the one that was cut off follows", || cluster.is_whole());
    assert_eq!(app.current_user(&session.access_token).status, 401);
}

fn cluster_primary_demoted() {
    let _turn = alone();
    let (cluster, app, sessions) = cluster_scene(&[]);
    let (owner, session) = &sessions[0];
    let replica = cluster.replica_of(*owner);
    let () = cluster.servers[replica].command(&["CLUSTER", "FAILOVER"]);
    assert_eq!(cluster.wait_for_failover(*owner, &key(&session.email)), replica);
    assert_away_until_back(&app, session, false);
    assert_serves(&app);
}

/// MOVED, ASK and TRYAGAIN: a slot moves key by key, and its user is served all the while.
fn cluster_slots_that_move_cost_nothing() {
    let _turn = alone();
    let (cluster, app, sessions) = cluster_scene(&[]);
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
    // Half of the keys here and half there is TRYAGAIN, which lasts as long as the move does.
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| in_time("GET /user", || app.current_user(&session.access_token)));
        for key in &keys {
            moving.move_key(key);
        }
        let answer = asking.join().unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    });
    assert_served("after the last key has moved");
    // What writes new keys beside those that have moved is TRYAGAIN until the slot itself has moved.
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| in_time("POST /authenticate", || app.authenticate(&session.email, PASSWORD)));
        moving.finish();
        let answer = asking.join().unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    });
    assert_served("after the slot has moved");
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    assert_eq!(app.current_user(&session.access_token).status, 401);
}
