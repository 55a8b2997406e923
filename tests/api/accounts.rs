//! PUT /user/password and DELETE /user, the strength of passwords, and their hashes' parameters.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use crate::{
    app::{PASSWORD, Session, TestApp, command, unique_email},
    raw::Answer,
    redis_server::RedisServer,
    runner::Store,
    session::{assert_accepted, claims, replicas, text},
    suite,
};

suite! {
    every_store: [
        a_wrong_current_password_is_403_and_changes_nothing,
        both_passwords_of_a_change_are_checked_at_once,
        the_least_length_holds_for_the_new_password_only,
        a_change_ends_all_other_sessions_and_keeps_this_one_going,
        a_wrong_password_deletes_nothing,
        a_deleted_account_is_gone_with_its_tokens_everywhere,
        account_routes_want_a_live_access_token,
        account_routes_answer_other_methods_with_405,
        password_guesses_of_a_token_holder_are_throttled_like_sign_ins,
        a_weak_new_password_is_no_failed_guess,
        weak_passwords_are_refused_with_advice_when_a_score_is_set,
        by_default_any_password_that_is_long_enough_will_do,
        an_account_works_on_after_the_hash_parameters_are_raised,
    ]
    redis: [
        deletion_leaves_nothing_that_stays,
        a_sign_in_stores_a_stronger_hash_once_the_parameters_are_raised,
    ]
    plain: [settings_out_of_bounds_are_refused_by_name]
}

const NEW: &str = "battery staple";

fn wrong_password(answer: &Answer) {
    answer.assert_error(403, "wrong_password");
    assert_eq!(answer.header("www-authenticate"), None, "a client drops its tokens on a challenge");
}

fn a_wrong_current_password_is_403_and_changes_nothing(store: Store) {
    let replicas = replicas(store, &[]);
    let session = replicas[0].new_session();
    let other = replicas[0].session_of(&session.email);
    for app in &replicas {
        for wrong in ["wrong", NEW, "Correct horse", "correct horse "] {
            wrong_password(&app.change_password(&session.access_token, wrong, NEW));
        }
        app.authenticate(&session.email, NEW).assert_error(401, "invalid_credentials");
    }
    session.assert_lives(&replicas);
    other.assert_lives(&replicas);
    replicas[0].session_of(&session.email);
}

fn both_passwords_of_a_change_are_checked_at_once(store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let put = |body: &Value| app.send_as(&session.access_token, "PUT", "/user/password", Some(body));
    let both = ["current_password", "new_password"];
    put(&json!({})).assert_invalid(&both);
    put(&json!({"current_password": "", "new_password": "12345"})).assert_invalid(&both);
    put(&json!({"current_password": 1, "new_password": null})).assert_invalid(&both);
    put(&json!({"current_password": "x".repeat(1025), "new_password": "x".repeat(1025)})).assert_invalid(&both);
    put(&json!({"current_password": PASSWORD})).assert_invalid(&["new_password"]);
    put(&json!({"new_password": NEW})).assert_invalid(&["current_password"]);
    let short = put(&json!({"current_password": PASSWORD, "new_password": "🗝🗝🗝🗝🗝"}));
    short.assert_invalid(&["new_password"]);
    assert_eq!(short.json()["fields"][0]["message"], "must have at least 6 characters");
    put(&json!([PASSWORD, NEW])).assert_error(400, "invalid_json");
    let twice = format!(r#"{{"current_password": "{PASSWORD}", "new_password": "{NEW}", "new_password": "{NEW}"}}"#);
    let authorization = [("Authorization", session.access_token.as_str())];
    app.send("PUT", "/user/password", &authorization, Some(&twice)).assert_error(400, "invalid_json");
    app.send("PUT", "/user/password", &authorization, None).assert_error(400, "invalid_json");
    let planted = "planted-secret-5f1c";
    for body in [json!({"current_password": planted, "new_password": planted}), json!({"current_password": [planted]})]
    {
        let answer = put(&body);
        assert!(answer.status >= 400 && !answer.body.contains(planted), "{answer:?}");
    }
    assert!(!app.output().contains(planted));
    app.session_of(&session.email);
}

fn the_least_length_holds_for_the_new_password_only(store: Store) {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let start = |settings: &[(&str, &str)]| match store {
        Store::Embedded => TestApp::start_in(Arc::clone(&directory), settings),
        Store::Redis => TestApp::start_on(&RedisServer::shared_url(), settings),
    };
    let app = start(&[]);
    let session = app.new_session();
    drop(app);
    let app = start(&[("PASSWORD_MIN_LENGTH", "15")]);
    let short = app.change_password(&session.access_token, PASSWORD, "fourteen chars");
    short.assert_invalid(&["new_password"]);
    assert_eq!(short.json()["fields"][0]["message"], "must have at least 15 characters");
    assert_eq!(app.change_password(&session.access_token, PASSWORD, "fifteen chars !").status, 200);
    assert_eq!(app.authenticate(&session.email, "fifteen chars !").status, 200);
}

fn a_change_ends_all_other_sessions_and_keeps_this_one_going(store: Store) {
    let replicas = replicas(store, &[]);
    let bystander = replicas[0].new_session();
    let kept = replicas[0].new_session();
    let (mut old, mut new) = (PASSWORD.to_owned(), NEW.to_owned());
    for (n, app) in replicas.iter().cycle().take(3).enumerate() {
        let others: Vec<_> = replicas.iter().map(|app| sign_in(app, &kept.email, &old)).collect();
        let refreshed = text(&app.refresh_access_token(&kept.refresh_token), "access_token");
        // The token that asks may be any of the session's.
        let token = if n == 1 { &refreshed } else { &kept.access_token };
        let expected = json!({"result": "Password changed, all other sessions ended"});
        app.change_password(token, &old, &new).assert(200, &expected);
        for session in &others {
            session.assert_dead(&replicas);
        }
        for app in &replicas {
            app.authenticate(&kept.email, &old).assert_error(401, "invalid_credentials");
            assert_accepted(app, &refreshed, &kept.email);
        }
        kept.assert_lives(&replicas);
        assert_eq!(app.session_ids(&kept.access_token), [kept.id()]);
        let fresh = sign_in(app, &kept.email, &new);
        fresh.assert_lives(&replicas);
        std::mem::swap(&mut old, &mut new);
    }
    bystander.assert_lives(&replicas);
}

fn sign_in(app: &TestApp, email: &str, password: &str) -> Session {
    let answer = app.authenticate(email, password);
    assert_eq!(answer.status, 200, "{answer:?}");
    Session {
        email: email.to_owned(),
        access_token: text(&answer, "access_token"),
        refresh_token: text(&answer, "refresh_token"),
    }
}

fn a_wrong_password_deletes_nothing(store: Store) {
    let replicas = replicas(store, &[]);
    let app = &replicas[0];
    let session = app.new_session();
    wrong_password(&app.delete_user(&session.access_token, NEW));
    let delete = |body: &Value| app.send_as(&session.access_token, "DELETE", "/user", Some(body));
    for body in [json!({}), json!({"password": ""}), json!({"password": true}), json!({"email": session.email})] {
        delete(&body).assert_invalid(&["password"]);
    }
    app.send("DELETE", "/user", &[("Authorization", &session.access_token)], None).assert_error(400, "invalid_json");
    session.assert_lives(&replicas);
    app.session_of(&session.email);
}

fn a_deleted_account_is_gone_with_its_tokens_everywhere(store: Store) {
    let replicas = replicas(store, &[]);
    let bystander = replicas[0].new_session();
    let email = unique_email();
    let mut buried = Vec::new();
    let mut ids = Vec::new();
    for app in replicas.iter().cycle().take(3) {
        // An address whose account is gone is as good as new.
        assert_eq!(app.sign_up(&email, PASSWORD).status, 201);
        let sessions: Vec<_> = replicas.iter().map(|app| app.session_of(&email)).collect();
        ids.push(app.current_user(&sessions[0].access_token).json()["data"]["id"].clone());
        for dead in &buried {
            Session::assert_dead(dead, &replicas);
        }
        app.delete_user(&sessions[0].access_token, PASSWORD).assert(200, &json!({"result": "Account deleted"}));
        buried.extend(sessions);
        for dead in &buried {
            dead.assert_dead(&replicas);
        }
        for app in &replicas {
            app.authenticate(&email, PASSWORD).assert_error(401, "invalid_credentials");
        }
    }
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    bystander.assert_lives(&replicas);
}

fn account_routes_want_a_live_access_token(store: Store) {
    let app = TestApp::start(store);
    let session = app.new_session();
    let ended = app.session_of(&session.email);
    assert_eq!(app.send_as(&ended.access_token, "POST", "/signout", None).status, 200);
    let change = json!({"current_password": PASSWORD, "new_password": NEW});
    for (method, path, body) in [("PUT", "/user/password", change), ("DELETE", "/user", json!({"password": PASSWORD}))]
    {
        let missing = app.send_json(method, path, &body);
        missing.assert_error(401, "token_missing");
        assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
        for token in [&ended.access_token, &session.refresh_token] {
            let dead = app.send_as(token, method, path, Some(&body));
            dead.assert_error(401, "invalid_token");
            assert_eq!(dead.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
        }
    }
    app.session_of(&session.email);
    session.assert_lives(&[app]);
}

fn account_routes_answer_other_methods_with_405(store: Store) {
    let app = TestApp::start(store);
    let token = app.new_session().access_token;
    for (path, allow) in [("/user", "GET, DELETE"), ("/user/password", "PUT")] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            if allow.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let answer = app.send_as(&token, method, path, None);
            answer.assert_error(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        }
    }
}

/// A protected request from an address that a proxy tells.
fn from(app: &TestApp, address: &str, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let headers = [("Authorization", token), ("X-Forwarded-For", address)];
    app.send(method, path, &headers, Some(&body.to_string()))
}

fn password_guesses_of_a_token_holder_are_throttled_like_sign_ins(store: Store) {
    let replicas = replicas(store, &[("TRUSTED_PROXIES", "127.0.0.1")]);
    for (n, (method, path)) in [("PUT", "/user/password"), ("DELETE", "/user")].into_iter().enumerate() {
        // The sign-in came from 127.0.0.1, which the account knows from then on; the thief's address it does not.
        let session = replicas[0].new_session();
        let thief = format!("203.0.113.{n}");
        let attempt = |n: usize, address: &str, password: &str| {
            let body = json!({"password": password, "current_password": password, "new_password": NEW});
            from(&replicas[n % replicas.len()], address, &session.access_token, method, path, &body)
        };
        // The fifth failure brings a wait of a second, which a slow machine may miss; the waits grow.
        let throttled = (0..10).find_map(|tried| {
            let answer = attempt(tried, &thief, "a guess");
            if answer.status == 429 {
                return Some((tried, answer));
            }
            wrong_password(&answer);
            None
        });
        let (tried, throttled) = throttled.unwrap();
        assert!(tried >= 5, "throttled after {tried} failures");
        throttled.assert_error(429, "too_many_attempts");
        let wait: u64 = throttled.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        // Even the right one, and at the door as well.
        for app in &replicas {
            let body = json!({"email": session.email, "password": PASSWORD}).to_string();
            let door = app.send("POST", "/authenticate", &[("X-Forwarded-For", &thief)], Some(&body));
            if door.status == 200 {
                assert!(wait == 1, "the wait of {wait} seconds was no wait");
                break;
            }
            door.assert_error(429, "too_many_attempts");
        }
        session.assert_lives(&replicas);
        // The owner's address is spared.
        assert_eq!(attempt(0, "127.0.0.1", PASSWORD).status, 200);
    }
}

fn a_weak_new_password_is_no_failed_guess(store: Store) {
    let app = TestApp::start_with(store, &[("TRUSTED_PROXIES", "127.0.0.1"), ("PASSWORD_MIN_SCORE", "3")]);
    let email = unique_email();
    assert_eq!(app.sign_up(&email, "Tr0mbone-quagmire-82").status, 201);
    let session = sign_in(&app, &email, "Tr0mbone-quagmire-82");
    let body = json!({"current_password": "Tr0mbone-quagmire-82", "new_password": "password123"});
    for _ in 0..12 {
        let answer = from(&app, "203.0.113.9", &session.access_token, "PUT", "/user/password", &body);
        answer.assert_invalid(&["new_password"]);
    }
}

fn weak_passwords_are_refused_with_advice_when_a_score_is_set(store: Store) {
    let app = TestApp::start_with(store, &[("PASSWORD_MIN_SCORE", "3")]);
    let email = format!("wilhelmina-kowalczyk-{}", unique_email());
    let strong = "Tr0mbone-quagmire-82";
    let local = email.split('@').next().unwrap().to_owned();
    let assert_weak = |answer: &Answer, field: &str, password: &str| {
        answer.assert_invalid(&[field]);
        let message = answer.json()["fields"][0]["message"].as_str().unwrap().to_owned();
        let advice = message.strip_prefix("is too easy to guess. ").unwrap_or_else(|| panic!("{message}"));
        assert!(advice.ends_with('.') && advice.len() > 20, "{advice}");
        assert!(!answer.body.contains(password), "{answer:?}");
    };
    // Common ones, the service's name, and what the email says.
    let weak = ["password123", "iloveyou2", "qwertyuiop", "auth-service", "Auth-Service1", &email, &local];
    for password in weak {
        assert_weak(&app.sign_up(&email, password), "password", password);
    }
    // Somebody else's name would do.
    assert_eq!(app.sign_up(&unique_email(), &local).status, 201);
    assert_eq!(app.sign_up(&email, strong).status, 201);
    let session = sign_in(&app, &email, strong);
    for password in weak {
        let answer = app.change_password(&session.access_token, strong, password);
        assert_weak(&answer, "new_password", password);
    }
    // Nothing is changed, and a wrong current password is told first.
    wrong_password(&app.change_password(&session.access_token, "wrong", "password123"));
    let other = sign_in(&app, &email, strong);
    assert_eq!(app.change_password(&session.access_token, strong, "Xylophone/marmot~17").status, 200);
    let apps = [app];
    other.assert_dead(&apps);
    session.assert_lives(&apps);
}

fn by_default_any_password_that_is_long_enough_will_do(store: Store) {
    let app = TestApp::start(store);
    let email = unique_email();
    assert_eq!(app.sign_up(&email, "password").status, 201);
    let session = sign_in(&app, &email, "password");
    assert_eq!(app.change_password(&session.access_token, "password", "123456").status, 200);
    sign_in(&app, &email, "123456");
}

const RAISED: [(&str, &str); 3] =
    [("ARGON2_MEMORY_KIB", "8192"), ("ARGON2_ITERATIONS", "2"), ("ARGON2_PARALLELISM", "2")];

fn an_account_works_on_after_the_hash_parameters_are_raised(store: Store) {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let start = |settings: &[(&str, &str)]| match store {
        Store::Embedded => TestApp::start_in(Arc::clone(&directory), settings),
        Store::Redis => TestApp::start_on(&RedisServer::shared_url(), settings),
    };
    let mut app = start(&[]);
    let email = app.new_session().email;
    for settings in [&RAISED[..], &[], &RAISED] {
        drop(app);
        app = start(settings);
        app.authenticate(&email, "wrong password").assert_error(401, "invalid_credentials");
        let session = app.session_of(&email);
        app.session_of(&email);
        assert_eq!(app.change_password(&session.access_token, PASSWORD, PASSWORD).status, 200);
    }
}

fn a_sign_in_stores_a_stronger_hash_once_the_parameters_are_raised() {
    let redis = RedisServer::start(&[]);
    let weak = TestApp::start_on(&redis.url(), &[]);
    let session = weak.new_session();
    let key = format!("as:{{{}}}:u", claims(&session.access_token)["tag"].as_str().unwrap());
    let record = || redis.command::<String>(&["GET", &key]).lines().next().unwrap().to_owned();
    let first = record();
    // All before the PHC string, and that.
    let parts = |record: &str| record.split_once(" $").map(|(rest, phc)| (rest.to_owned(), format!("${phc}"))).unwrap();
    assert!(parts(&first).1.starts_with("$argon2id$v=19$m=7168,t=1,p=1$"), "{first}");

    let strong = TestApp::start_on(&redis.url(), &RAISED);
    assert_eq!(strong.authenticate(&session.email, "wrong password").status, 401);
    assert_eq!(record(), first, "only the right password can be hashed again");
    let replicas = [weak, strong];
    replicas[1].session_of(&session.email).assert_lives(&replicas);
    let raised = record();
    assert!(parts(&raised).1.starts_with("$argon2id$v=19$m=8192,t=2,p=2$"), "{raised}");
    assert_eq!(parts(&raised).0, parts(&first).0);
    assert_eq!(redis.command::<i64>(&["TTL", &key]), -1);
    // A session from before goes on, the password is the same, and no replica takes the hash back.
    session.assert_lives(&replicas);
    for app in &replicas {
        app.session_of(&session.email);
        assert_eq!(record(), raised);
    }
}

fn deletion_leaves_nothing_that_stays() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    app.session_of(&session.email);
    // A failed try from an unknown address, so that all kinds of keys are there.
    let app = TestApp::start_on(&redis.url(), &[("TRUSTED_PROXIES", "127.0.0.1"), ("ADDRESS_LIMIT", "100")]);
    let guess = json!({"email": session.email, "password": "a guess"}).to_string();
    let failed = app.send("POST", "/authenticate", &[("X-Forwarded-For", "203.0.113.3")], Some(&guess));
    failed.assert_error(401, "invalid_credentials");
    let tag = claims(&session.access_token)["tag"].as_str().unwrap().to_owned();
    let key = |name: &str| format!("as:{{{tag}}}:{name}");
    let exist = |names: &[&str]| names.iter().map(|name| redis.command::<i64>(&["EXISTS", &key(name)])).sum::<i64>();
    let kinds = ["u", "e", "f"];
    assert_eq!(exist(&kinds), 3);
    assert_eq!(app.delete_user(&session.access_token, PASSWORD).status, 200);
    assert_eq!(exist(&kinds), 0);
    let left: Vec<String> = redis.command(&["KEYS", "*"]);
    for key in left {
        assert!(!key.contains(&tag), "{key}");
        let life: i64 = redis.command(&["TTL", &key]);
        assert!((0..=900).contains(&life), "{key} stays for {life}");
    }
}

fn settings_out_of_bounds_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let wrong = [
        ("ARGON2_MEMORY_KIB", &["7167", "1048577", "-1", "much", "7168.5"][..]),
        ("ARGON2_ITERATIONS", &["0", "33"]),
        ("ARGON2_PARALLELISM", &["0", "17"]),
        ("PASSWORD_MIN_SCORE", &["-1", "5", "3.5"]),
        ("REFRESH_TOKEN_ROTATION", &["yes", "1", "ON"]),
        ("REFRESH_GRACE_SECONDS", &["-1", "301"]),
        ("SESSION_MAX_AGE_SECONDS", &["-1", "315360001", "1d"]),
        ("MAX_SESSIONS_PER_USER", &["0", "1001"]),
    ];
    for round in 0..5 {
        let settings: BTreeMap<String, String> = wrong
            .iter()
            .map(|(name, values)| ((*name).to_owned(), values[round % values.len()].to_owned()))
            .chain([("PORT".to_owned(), "0".to_owned())])
            .collect();
        let output = command(directory.path(), &settings).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        for (name, values) in wrong {
            let lines: Vec<_> = error.lines().filter(|line| line.contains(name)).collect();
            assert_eq!(lines.len(), 1, "{name} in {error}");
            assert!(lines[0].contains("must be "), "{error}");
            // Named, with what it takes, and not with what it was given.
            assert!(!lines[0].contains(&format!(" {} ", values[round % values.len()])), "{error}");
        }
    }
    assert!(!directory.path().join("data").exists(), "it must not have started");
}
