//! Secrets stay out of the log at every level, whatever clients send and whatever happens to Redis.

use rstest::rstest;
use serde_json::json;

use crate::support::{
    ACCESS_SECRET, CREDENTIALS, REFRESH_SECRET, RESOURCE_SERVERS, RedisServer, Session,
    Store::{self, Embedded, Redis},
    TestApp, free_port, raw, refused, unique_email, wait_until,
};

const PLANTED_PASSWORD: &str = "pL4nted password";
/// The password of Redis. No character of it needs an escape in a URL.
const PLANTED_KEY: &str = "pL4nted-R3dis-key";

/// Signs up and in with the planted password.
fn planted_session(app: &TestApp) -> Session {
    let email = unique_email();
    assert_eq!(app.sign_up(&email, PLANTED_PASSWORD).status, 201);
    app.sign_in(&email, PLANTED_PASSWORD)
}

/// Sends the planted password and real tokens to many routes, in the right places and in wrong ones.
fn use_every_route(app: &TestApp, session: &Session) {
    let Session { email, access_token, refresh_token } = session;
    let taken = json!({"email": email, "password": PLANTED_PASSWORD});
    let wrong_types = json!({"email": [email], "password": {PLANTED_PASSWORD: 1}, "refresh_token": [refresh_token]});
    let exchanged = json!({"email": email, "password": refresh_token, "refresh_token": access_token});
    let tampered = json!({"refresh_token": format!("{refresh_token}A"), "email": PLANTED_PASSWORD, "password": "x"});
    let broken = format!(r#"{{"password": "{PLANTED_PASSWORD}", "refresh_token": "{refresh_token}""#);
    let twice = format!(r#"{{"password": "{PLANTED_PASSWORD}", "password": "{PLANTED_PASSWORD}"}}"#);
    let right = json!({"email": email, "password": PLANTED_PASSWORD, "refresh_token": refresh_token});
    let too_long = json!({"email": email, "password": PLANTED_PASSWORD.repeat(2000)});
    let mut bodies = vec![taken, wrong_types, exchanged, tampered, right, too_long].into_iter().map(|b| b.to_string());
    let bodies: Vec<_> = bodies.by_ref().chain([broken, twice]).collect();
    for (method, path) in [
        ("POST", "/signup"),
        ("GET", "/authenticate"),
        ("POST", "/authenticate"),
        ("GET", "/user"),
        ("GET", "/refresh-access-token"),
        ("POST", "/refresh-access-token"),
        ("PUT", "/user"),
        ("GET", "/livez"),
        ("GET", "/readyz"),
    ] {
        for body in &bodies {
            for token in [access_token, refresh_token, &format!("{access_token}A"), PLANTED_PASSWORD] {
                let bearer = format!("Bearer {token}");
                let headers = [("Authorization", bearer.as_str()), ("X-Request-Id", PLANTED_PASSWORD)];
                app.send(method, path, &headers, Some(body));
            }
        }
    }
    for token in [access_token, refresh_token, PLANTED_PASSWORD] {
        let form = format!("token={token}");
        app.send_form("/introspect", &[CREDENTIALS], &form);
        app.send_form("/introspect", &[("Authorization", &format!("Basic {token}"))], &form);
        app.send_form("/revoke", &[], format!("token={token}A"));
    }
    for path in [format!("/user?access_token={access_token}"), format!("/{refresh_token}")] {
        app.send("GET", &path, &[("Cookie", access_token)], None);
    }
    // A request with a broken chunk, and a request that hyper itself refuses.
    let cut = raw::request("POST", "/signup", &[("Transfer-Encoding", "chunked")], None);
    let cut = [cut, format!("{PLANTED_PASSWORD}\r\n").into_bytes()].concat();
    raw::exchange(app.port(), &cut);
    raw::exchange(app.port(), format!("GET /user HTTP/1.1\r\n{access_token} : {PLANTED_PASSWORD}\r\n\r\n").as_bytes());
}

#[track_caller]
fn assert_no_secrets(output: &str, session: &Session) {
    let mut secrets = vec![PLANTED_PASSWORD, PLANTED_KEY, ACCESS_SECRET, REFRESH_SECRET, &session.email, "$argon2"];
    // The credentials of a resource server: as they come in the header, and the hash in the settings.
    secrets.extend([&CREDENTIALS.1[6..], "secret of orders", &RESOURCE_SERVERS.1[7..]]);
    // The first part is the header, which is the same in all tokens.
    secrets.extend(session.access_token.split('.').skip(1));
    secrets.extend(session.refresh_token.split('.').skip(1));
    for secret in secrets {
        let line = output.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}

#[rstest]
fn no_secret_is_in_any_log_at_trace_level(#[values(Redis, Embedded)] store: Store) {
    for format in ["json", "text"] {
        let settings = [
            ("RUST_LOG", "trace"),
            ("LOG_FORMAT", format),
            ("AUTH_SECRET_KEY", ACCESS_SECRET),
            ("REFRESH_SECRET_KEY", REFRESH_SECRET),
            RESOURCE_SERVERS,
        ];
        let mut app = TestApp::start_with(store, &settings);
        let session = planted_session(&app);
        use_every_route(&app, &session);
        assert_eq!(app.remove_access_token(&session.email).status, 200);
        use_every_route(&app, &session);
        app.terminate();
        app.wait();
        wait_until("the shutdown is logged", || app.output().contains("stopped"));
        assert_no_secrets(&app.output(), &session);
    }
}

#[test]
fn the_password_of_redis_is_in_no_log() {
    let mut redis = RedisServer::start(&[]);
    let set_user = |redis: &RedisServer, password: &str| {
        redis.command::<()>(&["ACL", "SETUSER", "planted", "reset", "on", &format!(">{password}"), "~*", "+@all"]);
    };
    set_user(&redis, PLANTED_KEY);
    let url = format!("redis://planted:{PLANTED_KEY}@127.0.0.1:{}", redis.port());
    let app = TestApp::start_on(&url, &[("RUST_LOG", "trace")]);
    let session = planted_session(&app);
    use_every_route(&app, &session);

    // First Redis refuses the password, then Redis is down, then Redis accepts the password again.
    set_user(&redis, "another key");
    redis.command::<i64>(&["CLIENT", "KILL", "USER", "planted"]);
    let ready = || app.send("GET", "/readyz", &[], None).status;
    wait_until("Redis refuses the password", || ready() == 503);
    use_every_route(&app, &session);
    let said = refused(&[("REDIS_URL", &url), ("RUST_LOG", "trace")]);
    assert!(said.contains("REDIS_URL"), "{said}");
    assert_no_secrets(&said, &session);
    redis.kill();
    wait_until("the server notices the outage", || app.current_user(&session.access_token).status == 503);
    use_every_route(&app, &session);
    redis.restart();
    set_user(&redis, PLANTED_KEY);
    wait_until("the server is ready again", || ready() == 200);
    use_every_route(&app, &session);

    let output = app.output();
    assert!(output.contains("cannot be used"), "the outage is in the log: {output}");
    assert_no_secrets(&output, &session);
    let cli = app.cli(&["user", "show", &session.email]);
    let said = String::from_utf8([cli.stdout, cli.stderr].concat()).unwrap();
    for secret in [PLANTED_KEY, PLANTED_PASSWORD, "$argon2"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn a_malformed_redis_url_is_not_repeated() {
    for url in [
        format!("redis://planted:{PLANTED_KEY}@host:no-port"),
        format!("redis://planted:{PLANTED_KEY}@host:99999"),
        format!("redis://planted:{PLANTED_KEY}@"),
        format!("redis://planted:{PLANTED_KEY}@[::1"),
        format!("redis://planted:{PLANTED_KEY}@ho st/0"),
        format!("redis://planted:{PLANTED_KEY}@127.0.0.1:1/no-number"),
        format!("redis://planted:%ff{PLANTED_KEY}@127.0.0.1:1"),
        format!("redis://:{PLANTED_KEY}@127.0.0.1:1/0?protocol={PLANTED_KEY}"),
        format!("http://planted:{PLANTED_KEY}@127.0.0.1"),
        format!("redis:{PLANTED_KEY}"),
        PLANTED_KEY.to_owned(),
    ] {
        let said = refused(&[("REDIS_URL", &url), ("RUST_LOG", "trace")]);
        assert!(said.contains("REDIS_URL") && !said.contains(PLANTED_KEY), "{said}");
    }
}

#[test]
fn the_password_of_an_unreachable_redis_is_in_no_log() {
    let url = format!("redis://planted:{PLANTED_KEY}@127.0.0.1:{}", free_port());
    let app = TestApp::start_on(&url, &[("RUST_LOG", "trace")]);
    app.send("GET", "/readyz", &[], None).assert_error(503, "store_unreachable");
    let body = json!({"email": unique_email(), "password": PLANTED_PASSWORD});
    app.send_json("POST", "/signup", &body).assert_error(503, "store_unreachable");
    let output = app.output();
    assert!(output.contains("cannot be used"), "{output}");
    assert!(!output.contains(PLANTED_KEY) && !output.contains(PLANTED_PASSWORD), "{output}");
}

#[test]
fn a_failure_names_its_cause_only_in_the_log() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = planted_session(&app);
    let [key]: [String; 1] = redis.command::<Vec<String>>(&["KEYS", "as:*:u"]).try_into().unwrap();
    redis.command::<()>(&["SET", &key, &format!("{{\"phc\": \"{PLANTED_KEY}\"")]);
    let id = ("X-Request-Id", "failing");
    let body = json!({"email": session.email, "password": PLANTED_PASSWORD}).to_string();
    let answer = app.send("POST", "/authenticate", &[id], Some(&body));
    answer.assert_error(500, "internal_error");
    assert!(!answer.body.contains("record"), "{answer:?}");
    wait_until("the failure is logged", || app.request_log().iter().any(|line| line["request_id"] == id.1));
    let log = app.request_log();
    let line = log.iter().find(|line| line["request_id"] == id.1).unwrap();
    assert_eq!((&line["level"], &line["status"]), (&json!("ERROR"), &json!(500)), "{line}");
    assert_eq!(line["detail"], "a user record cannot be read", "{line}");
    assert_no_secrets(&app.output(), &session);
}
