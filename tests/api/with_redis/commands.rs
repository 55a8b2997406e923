//! The Redis commands of each route, and scripts that Redis does not know.

use std::{collections::BTreeMap, thread};

use serde_json::json;

use crate::support::{
    ACL, Answer, Connection, Keys, Monitor, PASSWORD, RedisServer, Session, TestApp, raw, unique_email, wait_until,
};

const REQUESTS: u64 = 20;

/// The number of calls of each command, except the commands of connections and of this test.
fn command_counts(redis: &RedisServer) -> BTreeMap<String, u64> {
    let info: String = redis.command(&["INFO", "commandstats"]);
    let counts = info.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let calls = rest.split(',').next()?.parse().ok()?;
        let ours = !["hello", "info"].contains(&name) && !name.starts_with("client");
        ours.then(|| (name.to_owned(), calls))
    });
    counts.collect()
}

/// The commands of one request, including the commands in scripts.
fn cost(redis: &RedisServer, status: u16, mut request: impl FnMut() -> Answer) -> BTreeMap<String, u64> {
    // The first request loads the scripts.
    assert_eq!(request().status, status);
    let mut cost = None;
    wait_until("each request costs the same", || {
        let before = command_counts(redis);
        for _ in 0..REQUESTS {
            let answer = request();
            assert_eq!(answer.status, status, "{answer:?}");
        }
        cost = share(&before, &command_counts(redis));
        cost.is_some()
    });
    cost.unwrap()
}

/// The commands of one of the requests between two counts. `None` if the requests did not cost the same: each second, the
/// server reads its signing keys in the background.
fn share(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Option<BTreeMap<String, u64>> {
    let mut cost = BTreeMap::new();
    for (name, calls) in after {
        let calls = calls - before.get(name).unwrap_or(&0);
        // The server asks Redis for the time in the background, not for each request. A refresh in the same millisecond as
        // the refresh before it needs no EXPIRE.
        if !calls.is_multiple_of(REQUESTS) && !["time", "expire"].contains(&name.as_str()) {
            return None;
        }
        if calls >= REQUESTS {
            cost.insert(name.clone(), calls / REQUESTS);
        }
    }
    Some(cost)
}

/// The result of [`cost`] as text, such as `1 del, 1 get`.
fn cost_in_words(redis: &RedisServer, status: u16, request: impl FnMut() -> Answer) -> String {
    let words: Vec<_> = cost(redis, status, request).iter().map(|(name, calls)| format!("{calls} {name}")).collect();
    words.join(", ")
}

#[test]
fn a_sign_in_or_sign_up_that_would_be_too_late_costs_no_command() {
    let redis = RedisServer::start(&[]);
    // A hash takes longer than the rest of the test.
    let costly = [("REQUEST_TIMEOUT_SECONDS", "1"), ("ARGON2_MEMORY_KIB", "131072"), ("ARGON2_ITERATIONS", "32")];
    let app = TestApp::start_on(&redis.url(), &costly);
    let cores = thread::available_parallelism().unwrap().get();
    // Keeps each hashing thread busy.
    let _connections: Vec<_> = (0..cores)
        .map(|_| {
            let mut connection = Connection::open(app.port());
            let headers = [("Content-Type", "application/json")];
            let body = json!({"email": unique_email(), "password": PASSWORD}).to_string();
            connection.write(&raw::request("POST", "/authenticate", &headers, Some(&body))).unwrap();
            connection
        })
        .collect();
    let too_late = || app.authenticate(&unique_email(), PASSWORD);
    wait_until("the server refuses sign-ins", || too_late().status == 503);
    assert_eq!(cost_in_words(&redis, 503, too_late), "");
    assert_eq!(cost_in_words(&redis, 503, || app.sign_up(&unique_email(), PASSWORD)), "");
    too_late().assert_error(503, "overloaded");
}

#[test]
fn a_token_check_is_one_mget_of_two_keys() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    let keys = Keys::of(&session);
    let monitor = Monitor::start(&redis);
    assert_eq!(app.current_user(&session.access_token).status, 200);
    let mget = monitor.wait_for("MGET");
    assert_eq!(mget, [keys.epoch(), keys.access()]);
    assert_eq!(cost_in_words(&redis, 200, || app.current_user(&session.access_token)), "1 mget");
    // More sessions of the user do not make the check larger.
    for _ in 0..5 {
        app.session_of(&session.email);
    }
    assert_eq!(app.current_user(&session.access_token).status, 200);
    assert_eq!(monitor.wait_for("MGET"), [keys.epoch(), keys.access()]);
    // The signature of a forged token is wrong, so the server does not ask Redis.
    let forged = format!("{}AAAA", &session.access_token[..session.access_token.len() - 4]);
    assert_eq!(cost_in_words(&redis, 401, || app.current_user(&forged)), "");
}

#[test]
fn a_removal_deletes_one_key_and_no_other() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let (session, bystander) = (app.new_session(), app.new_session());
    let second = app.session_of(&session.email);
    let before = redis.keys();
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    let after = redis.keys();
    let gone: Vec<_> = before.into_iter().filter(|key| !after.contains(key)).collect();
    assert_eq!(gone, [Keys::of(&session).epoch()]);
    for session in [&session, &second] {
        session.assert_dead([&app]);
    }
    bystander.assert_lives([&app]);
    // A later sign-in must not revive an older session.
    let third = app.session_of(&session.email);
    third.assert_lives([&app]);
    session.assert_dead([&app]);
}

#[test]
fn every_route_is_one_or_two_round_trips() {
    let redis = RedisServer::start(&[]);
    // A limit that the test does not reach. Without a limit, the server would not count calls.
    let app = TestApp::start_on(&redis.url(), &[("ADDRESS_LIMIT", "10000")]);
    let session = app.new_session();
    let Session { email, refresh_token, .. } = &session;
    let missing = unique_email();
    assert_eq!(app.authenticate(&missing, PASSWORD).status, 401);
    assert_eq!(app.remove_access_token(&missing).status, 404);
    let scripts = |status, request: &mut dyn FnMut() -> Answer| {
        cost(&redis, status, request).get("evalsha").copied().unwrap_or_default()
    };
    // Each script is a round trip, unless the server sends several scripts at once.
    assert_eq!(scripts(200, &mut || app.refresh_access_token(refresh_token)), 1);
    assert_eq!(scripts(409, &mut || app.sign_up(email, PASSWORD)), 0);
    assert_eq!(cost_in_words(&redis, 200, || app.send("GET", "/livez", &[], None)), "");
    assert_eq!(cost_in_words(&redis, 200, || app.send("GET", "/readyz", &[], None)), "1 mget, 1 set");
    // The removal counts the call of the address, and reads the epoch. At the same time, it reads the account for the
    // audit trail.
    let removal_of_nothing = "2 evalsha, 3 get, 1 incrby";
    assert_eq!(cost_in_words(&redis, 404, || app.remove_access_token(&missing)), removal_of_nothing);
    // The removal publishes the end of the epoch, and then deletes one key.
    let removal = "1 del, 4 evalsha, 4 get, 1 incrby, 1 xadd, 1 xtrim";
    let mut sessions = (0..=REQUESTS).map(|_| app.new_session()).collect::<Vec<_>>();
    assert_eq!(cost_in_words(&redis, 200, || app.remove_access_token(&sessions.pop().unwrap().email)), removal);
    // A sign-in counts the call and the guess, opens the session, and takes both counts back.
    assert!(scripts(200, &mut || app.authenticate(email, PASSWORD)) <= 4);
}

#[test]
fn a_forgotten_script_is_loaded_again() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    for _ in 0..3 {
        redis.command::<()>(&["SCRIPT", "FLUSH"]);
        assert_eq!(app.authenticate(&session.email, PASSWORD).status, 200);
        redis.command::<()>(&["SCRIPT", "FLUSH"]);
        assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
    }
}

#[test]
fn database_password_and_acl_user_come_from_the_url() {
    let redis = RedisServer::start(&[]);
    let mut admin = redis.connect();
    let rights: Vec<_> = ACL.split(' ').chain(["+select"]).collect();
    redis::cmd("ACL").arg(&["SETUSER", "svc", "on", ">user-pw"]).arg(&rights).exec(&mut admin).unwrap();
    redis::cmd("CONFIG").arg(&["SET", "requirepass", "default-pw"]).exec(&mut admin).unwrap();
    for (user, database) in [(":default-pw", 0), (":default-pw", 5), ("svc:user-pw", 0), ("svc:user-pw", 7)] {
        let app = TestApp::start_on(&format!("redis://{user}@127.0.0.1:{}/{database}", redis.port()), &[]);
        assert_eq!(app.send("GET", "/readyz", &[], None).status, 200, "{}", app.output());
        let session = app.new_session();
        session.assert_lives([&app]);
        redis::cmd("SELECT").arg(database).exec(&mut admin).unwrap();
        let user_key = Keys::of(&session).user();
        assert!(redis::cmd("EXISTS").arg(user_key).query::<bool>(&mut admin).unwrap(), "in database {database}");
        assert_eq!(app.remove_access_token(&session.email).status, 200);
    }
}

#[test]
fn a_refresh_brings_no_ended_session_back() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    for _ in 0..50 {
        let session = app.new_session();
        let keys = Keys::of(&session);
        std::thread::scope(|scope| {
            let refresh = || while app.refresh_access_token(&session.refresh_token).status == 200 {};
            let refreshing = [scope.spawn(refresh), scope.spawn(refresh)];
            assert!(redis.command::<u64>(&["DEL", &keys.access(), &keys.refresh()]) > 0);
            for refreshing in refreshing {
                refreshing.join().unwrap();
            }
        });
        app.refresh_access_token(&session.refresh_token).assert_error(404, "token_not_found");
        assert_eq!(redis.life(&keys.refresh()), -2, "a refresh has created the key again");
    }
}

/// Redis may run a refresh after the server has stopped waiting for it. No key may then lack a TTL.
#[test]
fn a_refresh_that_times_out_leaves_no_key_without_a_ttl() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    let keys = Keys::of(&session);
    for key in [keys.access(), keys.refresh()] {
        let refreshes = || command_counts(&redis).get("evalsha").copied().unwrap_or(0);
        redis.command::<()>(&["DEL", &key]);
        let before = refreshes();
        redis.freeze();
        assert_eq!(app.refresh_access_token(&session.refresh_token).status, 503);
        redis.thaw();
        wait_until("Redis has run the refresh", || refreshes() > before);
        for key in redis.keys() {
            assert!(redis.life(&key) > 0 || key.ends_with(":u"), "{key} lives for {} ms", redis.life(&key));
        }
        wait_until("the server is ready again", || app.send("GET", "/readyz", &[], None).status == 200);
    }
    wait_until("the refresh is answered", || app.refresh_access_token(&session.refresh_token).status == 404);
}
