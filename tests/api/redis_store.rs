//! What is in Redis, for how long, and what each route costs there.

use std::{collections::BTreeMap, thread};

use auth_service::user::Email;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::{
    app::{ACCESS_SECRET, PASSWORD, Session, TestApp, unique_email},
    raw::Answer,
    redis_server::{RedisServer, wait_until},
    suite,
};

suite! {
    redis: [
        entries_expire_natively_and_users_never,
        token_lifetimes_are_settings,
        current_user_is_one_command_in_one_round_trip,
        every_route_costs_what_is_documented,
        a_refresh_whose_token_outlives_the_session_makes_its_keys_live_longer_and_never_shorter,
        removal_deletes_one_key_and_no_other,
        no_email_password_or_token_text_is_in_keys_or_values,
        epochs_and_session_ids_are_new_random_128_bits,
        an_entry_deleted_by_hand_ends_the_token_on_every_replica,
        a_refresh_brings_no_ended_session_back,
        a_refresh_that_nobody_waits_for_leaves_nothing_for_ever,
        a_forgotten_script_is_loaded_again_unnoticed,
        database_password_and_acl_user_come_from_the_url,
    ]
}

const REQUESTS: u64 = 20;

/// The names of the keys of a user with one session.
struct Keys {
    user: String,
    epoch: String,
    session: String,
}

impl Keys {
    fn of(session: &Session) -> Self {
        let tag = Email::parse(&session.email).unwrap().tag();
        let sid = claims(&session.access_token)["sid"].as_str().unwrap().to_owned();
        let key = |rest: &str| format!("as:{{{tag}}}:{rest}");
        Self { user: key("u"), epoch: key("e"), session: key(&format!("s:{sid}")) }
    }

    fn all(&self) -> Vec<String> {
        let Self { user, epoch, session } = self;
        let mut all = [user, epoch, session].map(Clone::clone).to_vec();
        all.sort();
        all
    }
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// All keys but the one that readiness checks write.
fn keys(redis: &RedisServer) -> Vec<String> {
    let mut keys: Vec<String> = redis.command(&["KEYS", "*"]);
    keys.retain(|key| key != "as:probe");
    keys.sort();
    keys
}

/// In milliseconds; -1 for a key that never expires, -2 for none.
fn life(redis: &RedisServer, key: &str) -> i64 {
    redis.command(&["PTTL", key])
}

/// Within the last ten seconds of `seconds`: a test under load is no slower than that.
#[track_caller]
fn assert_life(redis: &RedisServer, key: &str, seconds: i64) {
    let life = life(redis, key);
    assert!((((seconds - 10).max(0) * 1_000 + 1)..=seconds * 1_000).contains(&life), "{key} lives for {life} ms");
}

/// How often each command has run, but for those of the background and of this test.
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

/// What [`REQUESTS`] requests cost, each.
fn cost(redis: &RedisServer, status: u16, mut request: impl FnMut() -> Answer) -> String {
    let before = command_counts(redis);
    for _ in 0..REQUESTS {
        let answer = request();
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let mut grown = Vec::new();
    for (name, calls) in command_counts(redis) {
        let calls = calls - before.get(&name).unwrap_or(&0);
        assert_eq!(calls % REQUESTS, 0, "{name} ran {calls} times for {REQUESTS} requests");
        if calls > 0 {
            grown.push(format!("{} {name}", calls / REQUESTS));
        }
    }
    grown.join(", ")
}

fn entries_expire_natively_and_users_never() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    let names = Keys::of(&session);
    assert_eq!(keys(&redis), names.all());
    assert_life(&redis, &names.session, 120);
    assert_life(&redis, &names.epoch, 120);
    assert_eq!(life(&redis, &names.user), -1);

    // Refreshed when little is left, session and epoch live as long as the new access token and no longer.
    let nearly_over = TestApp::start_on(&redis.url(), &[("ACCESS_TOKEN_TTL_SECONDS", "119")]);
    let session = nearly_over.new_session();
    let names = Keys::of(&session);
    wait_until("a second has passed", || life(&redis, &names.session) < 118_500);
    let before = life(&redis, &names.session);
    assert_eq!(nearly_over.refresh_access_token(&session.refresh_token).status, 200);
    let after = life(&redis, &names.session);
    assert!((before + 1..=119_000).contains(&after), "{before} {after}");
    let epoch = life(&redis, &names.epoch);
    assert!((after - 100..=119_000).contains(&epoch), "the epoch outlives what it is for: {after} {epoch}");
    assert_eq!(life(&redis, &names.user), -1);

    // A second sign-in lengthens the epoch for all.
    redis.command::<()>(&["EXPIRE", &names.session, "60"]);
    redis.command::<()>(&["EXPIRE", &names.epoch, "60"]);
    let second = app.session_of(&session.email);
    assert_life(&redis, &names.epoch, 120);
    assert_life(&redis, &Keys::of(&second).session, 120);
    assert_life(&redis, &names.session, 60);
}

fn token_lifetimes_are_settings() {
    let redis = RedisServer::start(&[]);
    let settings = [("ACCESS_TOKEN_TTL_SECONDS", "300"), ("REFRESH_TOKEN_TTL_SECONDS", "4000")];
    let app = TestApp::start_on(&redis.url(), &settings);
    let session = app.new_session();
    let names = Keys::of(&session);
    assert_life(&redis, &names.session, 4_000);
    assert_life(&redis, &names.epoch, 4_000);
    for (token, seconds) in [(&session.access_token, 300), (&session.refresh_token, 4_000)] {
        let claims = claims(token);
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), seconds);
    }
    let body = app.authenticate(&session.email, PASSWORD).json();
    assert_eq!((&body["expires_in"], &body["refresh_expires_in"]), (&300.into(), &4_000.into()));

    // A replica that was given shorter ones does not shorten what others have promised.
    let shorter = [("ACCESS_TOKEN_TTL_SECONDS", "60"), ("REFRESH_TOKEN_TTL_SECONDS", "120")];
    let other = TestApp::start_on(&redis.url(), &shorter);
    assert_life(&redis, &Keys::of(&other.session_of(&session.email)).session, 120);
    assert_life(&redis, &names.epoch, 4_000);
}

fn current_user_is_one_command_in_one_round_trip() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    assert_eq!(cost(&redis, 200, || app.current_user(&session.access_token)), "1 mget");
    // Nothing is asked about a token that the signature gives away.
    let forged = format!("{}AAAA", &session.access_token[..session.access_token.len() - 4]);
    assert_eq!(cost(&redis, 401, || app.current_user(&forged)), "");
}

/// What a script runs is counted too: `evalsha` is the one round trip of its line.
fn every_route_costs_what_is_documented() {
    let redis = RedisServer::start(&[]);
    // High enough not to be reached, but counted.
    let app = TestApp::start_on(&redis.url(), &[("ADDRESS_LIMIT", "10000")]);
    let session = app.new_session();
    let Session { email, refresh_token, .. } = &session;
    let missing = unique_email();
    assert_eq!(cost(&redis, 201, || app.sign_up(&unique_email(), PASSWORD)), "1 get, 1 set");
    assert_eq!(cost(&redis, 409, || app.sign_up(email, PASSWORD)), "1 get");
    // Two round trips: the address' count, the account's and its record at once; then the session.
    let sign_in = "1 del, 3 evalsha, 1 exists, 5 get, 1 pttl, 2 set, 2 time";
    assert_eq!(cost(&redis, 200, || app.authenticate(email, PASSWORD)), sign_in);
    // The first of an address also starts the window that it is counted in.
    assert_eq!(app.authenticate(&unique_email(), PASSWORD).status, 401);
    assert_eq!(app.remove_access_token(&missing).status, 404);
    assert_eq!(
        cost(&redis, 401, || app.authenticate(&unique_email(), PASSWORD)),
        "3 evalsha, 1 expire, 4 get, 1 hget, 1 hincrby, 1 incrby, 1 time"
    );
    let refresh = "1 mget, 1 set, 1 setrange";
    assert_eq!(cost(&redis, 200, || app.refresh_access_token(refresh_token)), refresh);
    // The count for the address, and one key deleted.
    let removal = "1 del, 1 evalsha, 1 get, 1 incrby";
    assert_eq!(cost(&redis, 404, || app.remove_access_token(&missing)), removal);
    assert_eq!(cost(&redis, 200, || app.send("GET", "/livez", &[], None)), "");
    assert_eq!(cost(&redis, 200, || app.send("GET", "/readyz", &[], None)), "1 set");

    let mut sessions = (0..REQUESTS).map(|_| app.new_session()).collect::<Vec<_>>();
    assert_eq!(cost(&redis, 200, || app.remove_access_token(&sessions.pop().unwrap().email)), removal);
}

/// With the shipped lifetimes, any after the first 55 seconds.
fn a_refresh_whose_token_outlives_the_session_makes_its_keys_live_longer_and_never_shorter() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[("ACCESS_TOKEN_TTL_SECONDS", "120")]);
    let session = app.new_session();
    let Keys { epoch, session: key, .. } = Keys::of(&session);
    let refresh = || app.refresh_access_token(&session.refresh_token);
    for (left, after) in [(50, 120), (500, 500)] {
        for key in [&epoch, &key] {
            assert_eq!(redis.command::<u64>(&["EXPIRE", key, &left.to_string()]), 1);
        }
        assert_eq!(refresh().status, 200);
        for key in [&epoch, &key] {
            assert_life(&redis, key, after);
        }
    }
    // Redis 6 knows no GT, which takes a script then.
    let knows_gt = redis::cmd("EXPIRE").arg("none").arg(1).arg("GT").query::<u64>(&mut redis.connect()).is_ok();
    let with_script = "1 evalsha, 1 mget, 2 pttl, 1 setrange, 1 time";
    assert_eq!(cost(&redis, 200, refresh), if knows_gt { "2 expire, 1 mget, 1 set, 1 setrange" } else { with_script });
}

fn removal_deletes_one_key_and_no_other() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let (session, bystander) = (app.new_session(), app.new_session());
    let second = app.session_of(&session.email);
    let before = keys(&redis);
    assert_eq!(app.remove_access_token(&session.email).status, 200);
    let after = keys(&redis);
    let gone: Vec<_> = before.into_iter().filter(|key| !after.contains(key)).collect();
    assert_eq!(gone, [Keys::of(&session).epoch]);
    for token in [&session.access_token, &second.access_token] {
        app.current_user(token).assert_error(401, "invalid_token");
    }
    for token in [&session.refresh_token, &second.refresh_token] {
        app.refresh_access_token(token).assert_error(404, "token_not_found");
    }
    assert_eq!(app.current_user(&bystander.access_token).status, 200);
    // What is orphaned stays dead when the user comes back, and expires by itself.
    let third = app.session_of(&session.email);
    assert_eq!(app.current_user(&third.access_token).status, 200);
    app.current_user(&session.access_token).assert_error(401, "invalid_token");
    assert_life(&redis, &Keys::of(&session).session, 120);
}

fn no_email_password_or_token_text_is_in_keys_or_values() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    // The braces would end a cluster hash tag.
    let email = format!("{{planted}}.{}", unique_email());
    assert_eq!(app.sign_up(&email, "planted password").status, 201);
    let body = app.authenticate(&email, "planted password").json();
    let token = |name: &str| body[name].as_str().unwrap().to_owned();
    let (access, refresh) = (token("access_token"), token("refresh_token"));
    let refreshed = app.refresh_access_token(&refresh).json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(app.send("GET", "/readyz", &[], None).status, 200);

    let keys = keys(&redis);
    assert_eq!(keys.len(), 3, "{keys:?}");
    for key in keys {
        assert!(!key.contains("planted") && !key.contains("example"), "{key}");
        let value: String = redis.command(&["GET", &key]);
        for secret in ["planted password", ACCESS_SECRET] {
            assert!(!value.contains(secret), "{key}: {value}");
        }
        for token in [&access, &refresh, &refreshed] {
            for part in token.split('.') {
                assert!(!value.contains(part) && !key.contains(part), "{key}: {value}");
            }
        }
    }
}

fn epochs_and_session_ids_are_new_random_128_bits() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let mut seen = std::collections::HashSet::new();
    let mut note = |what: &str, id: &str| {
        assert_eq!(URL_SAFE_NO_PAD.decode(id).unwrap().len(), 16, "{what}: {id}");
        assert!(seen.insert(id.to_owned()), "{what} is not new");
    };
    let email = app.new_session().email;
    for _ in 0..10 {
        assert_eq!(app.remove_access_token(&email).status, 200);
        let session = app.session_of(&email);
        note("epoch", &redis.command::<String>(&["GETRANGE", &Keys::of(&session).epoch, "0", "21"]));
        let refreshed = app.refresh_access_token(&session.refresh_token).json();
        let (access, refresh) = (claims(&session.access_token), claims(&session.refresh_token));
        let refreshed = claims(refreshed["access_token"].as_str().unwrap());
        note("sid", access["sid"].as_str().unwrap());
        assert_eq!((&refresh["sid"], &refreshed["sid"]), (&access["sid"], &access["sid"]));
        for token in [access, refresh, refreshed] {
            note("jti", token["jti"].as_str().unwrap());
        }
    }
}

fn an_entry_deleted_by_hand_ends_the_token_on_every_replica() {
    let redis = RedisServer::start(&[]);
    let replicas = [(); 3].map(|()| TestApp::start_on(&redis.url(), &[]));
    let delete_and_look = |pick: fn(&Keys) -> &String| {
        let session = replicas[0].new_session();
        for app in &replicas {
            assert_eq!(app.current_user(&session.access_token).status, 200);
        }
        assert_eq!(redis.command::<u64>(&["DEL", pick(&Keys::of(&session))]), 1);
        session
    };
    for pick in [|names: &Keys| &names.session, |names: &Keys| &names.epoch] as [fn(&Keys) -> &String; 2] {
        let session = delete_and_look(pick);
        for app in &replicas {
            app.current_user(&session.access_token).assert_error(401, "invalid_token");
            app.refresh_access_token(&session.refresh_token).assert_error(404, "token_not_found");
        }
    }
}

fn a_refresh_brings_no_ended_session_back() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    for _ in 0..50 {
        let session = app.new_session();
        let key = Keys::of(&session).session;
        thread::scope(|scope| {
            let refresh = || while app.refresh_access_token(&session.refresh_token).status == 200 {};
            let refreshing = [scope.spawn(refresh), scope.spawn(refresh)];
            assert_eq!(redis.command::<u64>(&["DEL", &key]), 1);
            for refreshing in refreshing {
                refreshing.join().unwrap();
            }
        });
        app.refresh_access_token(&session.refresh_token).assert_error(404, "token_not_found");
        app.current_user(&session.access_token).assert_error(401, "invalid_token");
        assert_eq!(life(&redis, &key), -2, "there is a key again");
    }
}

fn a_refresh_that_nobody_waits_for_leaves_nothing_for_ever() {
    let redis = RedisServer::start(&[]);
    // One that would make the session live longer, too.
    for access_seconds in ["60", "120"] {
        let app = TestApp::start_on(&redis.url(), &[("ACCESS_TOKEN_TTL_SECONDS", access_seconds)]);
        let session = app.new_session();
        let key = Keys::of(&session).session;
        assert_eq!(redis.command::<u64>(&["DEL", &key]), 1);
        // The last command of a refresh.
        let refreshes = || command_counts(&redis).get("setrange").copied().unwrap_or(0);
        let before = refreshes();
        redis.freeze();
        assert_eq!(app.refresh_access_token(&session.refresh_token).status, 503);
        redis.thaw();
        wait_until("Redis has come to the refresh", || refreshes() > before);
        let left = life(&redis, &key);
        assert!(left != -1 && left <= 10_000, "a key that lives for {left} ms");
        wait_until("the server is back", || app.send("GET", "/readyz", &[], None).status == 200);
        wait_until("the refresh is answered", || app.refresh_access_token(&session.refresh_token).status == 404);
        assert_eq!(life(&redis, &key), -2);
    }
}

fn a_forgotten_script_is_loaded_again_unnoticed() {
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

fn database_password_and_acl_user_come_from_the_url() {
    let redis = RedisServer::start(&[]);
    let mut admin = redis.connect();
    // All that the service needs of an ACL user.
    let commands = "+hello +select +get +set +setrange +mget +del +exists +ttl +pttl +expire +time +incrby +hget +hset \
                    +hdel +hincrby +evalsha +script|load";
    let commands: Vec<_> = commands.split(' ').collect();
    let acl = ["SETUSER", "svc", "on", ">user-pw", "~as:*"];
    redis::cmd("ACL").arg(&acl).arg(&commands).exec(&mut admin).unwrap();
    redis::cmd("CONFIG").arg(&["SET", "requirepass", "default-pw"]).exec(&mut admin).unwrap();
    for (user, database) in [(":default-pw", 0), (":default-pw", 5), ("svc:user-pw", 0), ("svc:user-pw", 7)] {
        let app = TestApp::start_on(&format!("redis://{user}@127.0.0.1:{}/{database}", redis.port()), &[]);
        assert_eq!(app.send("GET", "/readyz", &[], None).status, 200, "{}", app.output());
        redis::cmd("SCRIPT").arg("FLUSH").exec(&mut admin).unwrap();
        let session = app.new_session();
        assert_eq!(app.current_user(&session.access_token).status, 200);
        assert_eq!(app.refresh_access_token(&session.refresh_token).status, 200);
        redis::cmd("SELECT").arg(database).exec(&mut admin).unwrap();
        let user_key = Keys::of(&session).user;
        assert!(redis::cmd("EXISTS").arg(user_key).query::<bool>(&mut admin).unwrap(), "in database {database}");
        assert_eq!(app.remove_access_token(&session.email).status, 200);
    }
}
