//! Passwords at rest and under load: what is stored, what an unknown email costs, and a flood of sign-ins.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    app::{PASSWORD, TestApp, unique_email},
    raw::{self, Answer, Connection},
    redis_server::RedisServer,
    runner::Store,
    suite,
};

suite! {
    every_store: [
        unknown_email_and_wrong_password_look_the_same,
        an_unknown_email_costs_a_hash_too,
    ]
    plain: [token_checks_go_on_while_sign_ins_flood_in]
    redis: [
        passwords_are_stored_as_argon2id_with_the_settings_and_a_salt_of_their_own,
        a_sign_in_upgrades_a_weaker_hash,
    ]
}

/// The stored hash of an account.
fn stored_hash(redis: &RedisServer, email: &str) -> String {
    let keys: Vec<String> = redis.command(&["KEYS", "as:*:u"]);
    let mut records = keys.iter().map(|key| {
        let record: String = redis.command(&["GET", key]);
        assert!(!record.contains(PASSWORD), "{record}");
        record.lines().next().unwrap().split(' ').map(str::to_owned).collect::<Vec<_>>()
    });
    // Id, time of creation, email, hash.
    records.find(|record| record[2] == email).unwrap()[3].clone()
}

fn passwords_are_stored_as_argon2id_with_the_settings_and_a_salt_of_their_own() {
    let redis = RedisServer::start(&[]);
    let settings = [("ARGON2_MEMORY_KIB", "8192"), ("ARGON2_ITERATIONS", "3"), ("ARGON2_PARALLELISM", "2")];
    let app = TestApp::start_on(&redis.url(), &settings);
    let hashes = [app.new_session(), app.new_session()].map(|session| stored_hash(&redis, &session.email));
    let parts = hashes.each_ref().map(|hash| hash.split('$').collect::<Vec<_>>());
    for parts in &parts {
        let &["", algorithm, version, parameters, salt, hash] = parts.as_slice() else { panic!("{parts:?}") };
        assert_eq!((algorithm, version, parameters), ("argon2id", "v=19", "m=8192,t=3,p=2"));
        // 16 and 32 bytes in base64.
        assert_eq!((salt.len(), hash.len()), (22, 43), "{parts:?}");
    }
    assert_ne!(parts[0][4], parts[1][4], "one password, two salts");
    assert_ne!(parts[0][5], parts[1][5]);
}

fn a_sign_in_upgrades_a_weaker_hash() {
    let redis = RedisServer::start(&[]);
    let weak = TestApp::start_on(&redis.url(), &[("ARGON2_ITERATIONS", "1")]);
    let session = weak.new_session();
    let email = session.email.as_str();
    let before = stored_hash(&redis, email);
    assert!(before.starts_with("$argon2id$v=19$m=7168,t=1,p=1$"), "{before}");

    let strong = TestApp::start_on(&redis.url(), &[("ARGON2_ITERATIONS", "4")]);
    assert_eq!(strong.authenticate(email, "wrong password").status, 401);
    assert_eq!(stored_hash(&redis, email), before, "only the right password upgrades");
    let signed_in = strong.session_of(email);
    let after = stored_hash(&redis, email);
    assert!(after.starts_with("$argon2id$v=19$m=7168,t=4,p=1$"), "{after}");
    assert_ne!(after.split('$').nth(4), before.split('$').nth(4), "a new salt");

    assert_eq!(strong.authenticate(email, PASSWORD).status, 200);
    assert_eq!(strong.authenticate(email, "wrong password").status, 401);
    assert_eq!(stored_hash(&redis, email), after, "upgraded once");
    // A replica of the old settings weakens nothing, and earlier sessions go on.
    assert_eq!(weak.authenticate(email, PASSWORD).status, 200);
    assert_eq!(stored_hash(&redis, email), after);
    for session in [&session, &signed_in] {
        let profile = weak.current_user(&session.access_token);
        assert_eq!((profile.status, &profile.json()["data"]["email"]), (200, &json!(email)));
    }
}

fn unknown_email_and_wrong_password_look_the_same(store: Store) {
    let app = TestApp::start(store);
    let email = app.new_session().email;
    let visible = |answer: &Answer| {
        let differ = ["x-request-id", "date"];
        let headers: Vec<_> = answer.headers.iter().filter(|(name, _)| !differ.contains(&name.as_str())).collect();
        format!("{} {headers:?} {}", answer.status, answer.body)
    };
    for wrong in ["x", "wrong password", &"x".repeat(1024)] {
        let known = app.authenticate(&email, wrong);
        known.assert_error(401, "invalid_credentials");
        assert_eq!(known.json()["error"], "Authentication failed - incorrect email or password");
        assert_eq!(visible(&app.authenticate(&unique_email(), wrong)), visible(&known));
    }
}

fn an_unknown_email_costs_a_hash_too(store: Store) {
    // The deadline is for a machine that has more to do than this.
    let settings = [("ARGON2_MEMORY_KIB", "19456"), ("ARGON2_ITERATIONS", "8"), ("REQUEST_TIMEOUT_SECONDS", "30")];
    let app = TestApp::start_with(store, &settings);
    let known: Vec<_> = (0..5).map(|_| app.new_session().email).collect();
    let unknown: Vec<_> = (0..5).map(|_| unique_email()).collect();
    let cost = |emails: &[String]| {
        let before = app.cpu_ticks();
        for email in emails.iter().chain(emails) {
            app.authenticate(email, "wrong password").assert_error(401, "invalid_credentials");
        }
        app.cpu_ticks() - before
    };
    let (wrong, unknown) = (cost(&known), cost(&unknown));
    assert!(wrong >= 10, "ten hashes took {wrong} ticks: too few to compare");
    assert!(unknown * 2 >= wrong && wrong * 2 >= unknown, "{unknown} ticks for unknown emails, {wrong} for known ones");
}

/// The most memory that it has used so far, in MiB.
fn peak_memory(app: &TestApp) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", app.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

fn token_checks_go_on_while_sign_ins_flood_in() {
    let cores = thread::available_parallelism().unwrap().get();
    // The queue holds 32 sign-ins for each core, and each core hashes one.
    let at_once = cores * 33 + 32;
    let settings = [
        ("ARGON2_MEMORY_KIB", "19456"),
        ("ARGON2_ITERATIONS", "2"),
        ("ACCESS_TOKEN_TTL_SECONDS", "300"),
        ("REFRESH_TOKEN_TTL_SECONDS", "300"),
    ];
    let app = TestApp::start_with(Store::Embedded, &settings);
    let session = app.new_session();
    let flooded = app.new_session().email;
    let body = json!({"email": flooded, "password": PASSWORD}).to_string();
    let sign_in = raw::request("POST", "/authenticate", &[("Content-Type", "application/json")], Some(&body));
    let overloaded = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    let flood = || {
        let mut connection = Connection::open(app.port());
        while !over.load(Ordering::Relaxed) {
            connection.write(&sign_in).unwrap();
            let answer = connection.read().unwrap();
            if answer.status == 200 {
                continue;
            }
            // On a busy machine a sign-in may also wait in the queue until its deadline.
            let late = answer.json()["code"] == "deadline_exceeded";
            answer.assert_error(503, if late { "deadline_exceeded" } else { "overloaded" });
            assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
            if !late {
                overloaded.fetch_add(1, Ordering::Relaxed);
            }
            // A client that is refused waits a little, else refusals are all that the machine is busy with.
            thread::sleep(Duration::from_millis(100));
        }
    };
    thread::scope(|scope| {
        let flooders: Vec<_> = (0..at_once).map(|_| scope.spawn(flood)).collect();
        let start = Instant::now();
        let mut checks = 0;
        // The checks are part of the flood: it ends when enough of them were served in it, and some sign-ins were not.
        let enough = |checks| checks >= 200 && overloaded.load(Ordering::Relaxed) >= 20;
        while !enough(checks) && start.elapsed() < Duration::from_secs(30) && !flooders.iter().all(|f| f.is_finished())
        {
            let alive = app.send("GET", "/livez", &[], None);
            let profile = app.current_user(&session.access_token);
            if (alive.status, profile.status) != (200, 200) {
                over.store(true, Ordering::Relaxed);
                panic!("{alive:?} {profile:?}");
            }
            checks += 1;
        }
        over.store(true, Ordering::Relaxed);
        assert!(enough(checks), "{checks} checks, {overloaded:?} overloaded");
    });
    let peak = peak_memory(&app);
    assert!(peak < 100 + cores * 40, "{peak} MiB, though a hash takes 19 MiB and {cores} run at a time");
    assert_eq!(app.authenticate(&session.email, PASSWORD).status, 200, "good again after the flood");
}
