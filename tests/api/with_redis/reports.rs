//! What the log says when Redis fails, and the name of the connections.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use super::trouble::{ALL, LOST, Scene};
use crate::support::{
    ACL, Certificates, Cluster, PASSWORD, RedisServer, SECOND, Sentinels, TestApp, free_port, unique_email, wait_until,
};

/// The lines about Redis, each with its level.
fn lines(app: &TestApp) -> Vec<String> {
    let about_redis = app.log().into_iter().filter_map(|line| {
        let message = line["message"].as_str()?;
        message.starts_with("Redis at ").then(|| format!("{} {message}", line["level"].as_str().unwrap_or_default()))
    });
    about_redis.collect()
}

/// Waits until the log has a line about Redis with all of these words.
#[track_caller]
fn wait_for(app: &TestApp, words: &[&str]) {
    wait_until(&format!("the log says {words:?}"), || {
        lines(app).iter().any(|line| words.iter().all(|word| line.contains(word)))
    });
}

/// Asserts that there are only these lines about Redis, each with these words.
#[track_caller]
fn assert_lines(app: &TestApp, expected: &[&[&str]]) {
    let lines = lines(app);
    let matches = lines.len() == expected.len()
        && lines.iter().zip(expected).all(|(line, words)| words.iter().all(|word| line.contains(word)));
    assert!(matches, "{lines:#?} are not {expected:#?}");
}

const CLOSED: &[&str] = &["WARN", "cannot be used: the server closed the connection"];

#[test]
fn a_loss_its_changed_reason_and_its_end_are_one_line_each() {
    let mut scene = Scene::start(&[]);
    let port = scene.redis.port().to_string();
    scene.redis.kill();
    // Many requests and many attempts to connect.
    let killed = Instant::now();
    while killed.elapsed() < 2 * SECOND {
        scene.assert_away(ALL, LOST);
    }
    wait_for(&scene.app, &["still cannot be used", "Connection refused"]);
    scene.redis.restart();
    scene.assert_back();
    wait_for(&scene.app, &["can be used again"]);
    assert_lines(
        &scene.app,
        &[CLOSED, &["WARN", &port, "still cannot be used, now: Connection refused"], &["INFO", &port, "after "]],
    );
    let end = lines(&scene.app).pop().unwrap();
    let seconds: f64 = end.split("after ").nth(1).unwrap().trim_end_matches(" s").parse().unwrap();
    assert!((2.0..60.0).contains(&seconds), "{end}");
}

#[test]
fn each_reason_of_a_loss_has_its_own_words() {
    let scene = Scene::start(&[]);
    scene.redis.freeze();
    wait_for(&scene.app, &["WARN", "cannot be used: no answer in time"]);
    scene.redis.thaw();
    wait_for(&scene.app, &["INFO", "can be used again"]);

    scene.redis.command::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    wait_for(&scene.app, &["WARN", "the server is a replica"]);
    scene.redis.command::<()>(&["REPLICAOF", "NO", "ONE"]);

    let mut admin = scene.redis.connect();
    redis::cmd("CONFIG").arg(&["SET", "requirepass", "planted"]).exec(&mut admin).unwrap();
    redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).exec(&mut admin).unwrap();
    wait_for(&scene.app, &["WARN", "still cannot be used, now: NOAUTH"]);
    redis::cmd("CONFIG").arg(&["SET", "requirepass", ""]).exec(&mut admin).unwrap();
    wait_until("both ends are in the log", || {
        lines(&scene.app).iter().filter(|line| line.contains("can be used again")).count() >= 2
    });
    assert!(!scene.app.output().contains("planted"), "{}", scene.app.output());
}

#[test]
fn a_redis_that_cannot_be_reached_at_the_start_is_one_line_with_the_reason() {
    let (right, wrong) = (Certificates::shared(), Certificates::new());
    let port = free_port();
    let _redis = right.start_redis(port);
    let authority = wrong.path("ca.pem");
    let untrusted = [("REDIS_TLS_CA_FILE", authority.as_str())];
    for (url, settings, reason) in [
        (format!("redis://127.0.0.1:{}", free_port()), &[][..], "Connection refused"),
        ("redis://no-such-host.invalid".to_owned(), &[], "failed to lookup address information"),
        ("unix:///nowhere/redis.sock".to_owned(), &[], "No such file"),
        (format!("rediss://localhost:{port}"), &untrusted, "invalid peer certificate"),
    ] {
        let app = TestApp::start_on(&url, settings);
        wait_for(&app, &["WARN", reason]);
        for _ in 0..5 {
            assert_eq!(app.sign_up(&unique_email(), PASSWORD).status, 503);
        }
        assert_lines(&app, &[&["WARN", "cannot be used", reason]]);
    }
}

#[test]
fn a_server_that_is_not_redis_is_called_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Ends with the process of the test.
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        }
    });
    for (scheme, reason) in [("redis", "does not answer as Redis does"), ("rediss", "does not speak TLS")] {
        let app = TestApp::start_on(&format!("{scheme}://127.0.0.1:{port}"), &[]);
        wait_for(&app, &["WARN", "cannot be used", reason]);
        app.send("GET", "/readyz", &[], None).assert_error(503, "store_unreachable");
    }
}

#[test]
fn refused_commands_are_one_line_and_their_end_is_one_line() {
    let scene = Scene::start(&[]);
    for (setting, value, code) in
        [("maxmemory", "1", "OOM command not allowed"), ("min-replicas-to-write", "1", "NOREPLICAS Not enough")]
    {
        let known = lines(&scene.app).len();
        scene.redis.command::<()>(&["CONFIG", "SET", setting, value]);
        for _ in 0..10 {
            assert_eq!(scene.app.sign_up(&unique_email(), PASSWORD).status, 503);
        }
        wait_for(&scene.app, &["WARN", "refuses commands: ", code]);
        scene.redis.command::<()>(&["CONFIG", "SET", setting, "0"]);
        wait_until("the end is in the log", || lines(&scene.app).len() > known + 1);
        let said = lines(&scene.app).split_off(known);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains(code) && !said[0].contains("script"), "{said:?}");
        assert!(said[1].starts_with("INFO") && said[1].contains("accepts commands again, after "), "{said:?}");
    }
}

#[test]
fn calls_that_cannot_be_counted_are_one_line() {
    let mut redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[("ADDRESS_LIMIT", "100"), ("SIGNUP_LIMIT_PER_HOUR", "100")]);
    redis.kill();
    for _ in 0..10 {
        assert_eq!(app.sign_up(&unique_email(), PASSWORD).status, 503);
        assert_eq!(app.authenticate(&unique_email(), PASSWORD).status, 503);
    }
    let uncounted = "calls of an address cannot be counted, so they are not limited";
    assert_eq!(app.log().iter().filter(|line| line["message"] == uncounted).count(), 1, "{}", app.output());
}

#[test]
fn a_missing_permission_is_one_line() {
    let redis = RedisServer::start(&[]);
    redis.command::<()>(&["ACL", "SETUSER", "svc", "on", ">pw", "~as:*", "+@all"]);
    let app = TestApp::start_on(&format!("redis://svc:pw@127.0.0.1:{}", redis.port()), &[]);
    let session = app.new_session();
    redis.command::<()>(&["ACL", "SETUSER", "svc", "-mget"]);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        assert_eq!(app.current_user(&session.access_token).status, 503);
    }
    wait_for(&app, &["NOPERM"]);
    assert_lines(&app, &[&["WARN", "refuses commands: NOPERM"]]);
}

/// The connections to a server in CLIENT LIST that are named, and those of the server's user without a name.
fn named(list: &str, user: &str) -> (usize, usize) {
    let of_user = list.lines().filter(|line| line.contains(&format!(" user={user} ")));
    let (named, others): (Vec<_>, Vec<_>) = of_user.partition(|line| line.contains(" name=auth-service "));
    (named.len(), others.len())
}

#[test]
fn every_connection_has_a_name_although_the_acl_forbids_client() {
    let redis = RedisServer::start(&[]);
    let rules: Vec<_> = ACL.split(' ').collect();
    redis.command::<()>(&[&["ACL", "SETUSER", "svc", "on", ">pw"], &rules[..]].concat());
    let url = format!("redis://svc:pw@127.0.0.1:{}", redis.port());
    let app = TestApp::start_on(&url, &[("REDIS_WAIT_REPLICAS", "1"), ("REDIS_WAIT_TIMEOUT_MS", "10")]);
    let shared = named(&redis.command::<String>(&["CLIENT", "LIST"]), "svc");
    assert!(shared.0 > 0 && shared.1 == 0, "{shared:?}");
    // This write uses a connection of its own. No replica confirms it.
    app.sign_up(&unique_email(), PASSWORD).assert_error(503, "not_replicated");
    let all = named(&redis.command::<String>(&["CLIENT", "LIST"]), "svc");
    assert!(all.0 > shared.0 && all.1 == 0, "{all:?}");
}

#[test]
fn the_connections_to_nodes_and_sentinels_have_a_name() {
    let cluster = Cluster::start(&[]);
    let _app = TestApp::start_on(&cluster.url(), &[]);
    for primary in &cluster.servers[..3] {
        let list: String = primary.command(&["CLIENT", "LIST"]);
        assert!(list.contains(" name=auth-service "), "{list}");
    }
    let sentinels = Sentinels::start();
    let _app = TestApp::start_on(&sentinels.url(), &[]);
    for n in 0..3 {
        let list = sentinels.clients(n);
        assert!(list.contains(" name=auth-service "), "{list}");
    }
}
