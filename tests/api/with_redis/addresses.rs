//! The forms of `REDIS_URL`, and the messages that a wrong URL causes at the start.

use crate::support::{
    LoneSentinel, RedisServer, SERVICE, Sentinels, TestApp, assert_says, assert_serves, free_port, free_port_of_a_node,
    refused, wait_until,
};

#[test]
fn a_unix_socket_serves() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("redis.sock");
    let socket = socket.to_str().unwrap();
    let _redis = RedisServer::start(&["--unixsocket", socket]);
    for scheme in ["unix", "redis+unix"] {
        assert_serves(&TestApp::start_on(&format!("{scheme}://{socket}"), &[]));
    }
}

#[test]
fn credentials_come_from_settings_and_are_not_printed() {
    let redis = RedisServer::start(&[]);
    redis.command::<()>(&["ACL", "SETUSER", "server", "on", ">planted-password", "~*", "+@all"]);
    redis.command::<()>(&["ACL", "SETUSER", "default", "off"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "planted-password\n").unwrap();
    for password in [("REDIS_PASSWORD", "planted-password"), ("REDIS_PASSWORD_FILE", file.to_str().unwrap())] {
        let app = TestApp::start_on(&redis.url(), &[("REDIS_USERNAME", "server"), password, ("RUST_LOG", "trace")]);
        assert_serves(&app);
        assert!(!app.output().contains("planted-password"), "{}", app.output());
    }
    let said =
        refused(&[("REDIS_URL", &redis.url()), ("REDIS_USERNAME", "server"), ("REDIS_PASSWORD", "planted-and-wrong")]);
    assert_says(&said, &["refused", "password"]);
}

#[test]
fn a_sentinel_with_a_password_serves() {
    let redis = RedisServer::start(&[]);
    let () = redis.command(&["CONFIG", "SET", "requirepass", "planted"]);
    let port = free_port();
    let auth = format!("sentinel auth-pass {SERVICE} planted");
    let _sentinel = LoneSentinel::start(port, redis.port(), &["requirepass planted", &auth]);
    wait_until("the Sentinel listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let app = TestApp::start_on(&format!("redis+sentinel://:planted@127.0.0.1:{port}/{SERVICE}"), &[]);
    assert_serves(&app);
    assert!(!app.output().contains("planted"), "{}", app.output());
}

#[test]
fn credentials_in_two_places_stop_the_start() {
    let said = refused(&[("REDIS_URL", "redis://:planted@127.0.0.1"), ("REDIS_PASSWORD", "planted")]);
    assert_says(&said, &["REDIS_URL", "REDIS_PASSWORD", "keep one"]);
}

#[test]
fn an_address_of_no_known_form_stops_the_start() {
    for (url, form) in [
        ("http://127.0.0.1", "redis+sentinel://"),
        ("redis+sentinel://:planted@127.0.0.1", "/service"),
        ("redis+cluster://:planted@127.0.0.1/1", "redis+cluster://"),
        ("rediss://127.0.0.1/#insecure", "redis://"),
        ("redis://:planted@127.0.0.1,127.0.0.2", "redis+sentinel://host1,host2/service"),
        ("redis://127.0.0.1:planted", "redis://"),
        ("unix://", "unix:///path"),
    ] {
        assert_says(&refused(&[("REDIS_URL", url)]), &["REDIS_URL", form]);
    }
}

#[test]
fn a_cluster_node_addressed_as_single_stops_the_start() {
    let redis = RedisServer::start_at(free_port_of_a_node(), &["--cluster-enabled", "yes"]);
    assert_says(&refused(&[("REDIS_URL", &redis.url())]), &["REDIS_URL", "node of a cluster", "redis+cluster://"]);
}

#[test]
fn a_sentinel_addressed_as_single_stops_the_start() {
    let sentinels = Sentinels::start();
    let url = sentinels.url().replace("redis+sentinel", "redis").replace(&format!("/{SERVICE}"), "");
    let one = url.split(',').next().unwrap();
    assert_says(&refused(&[("REDIS_URL", one)]), &["REDIS_URL", "is a Sentinel", "redis+sentinel://"]);
}

#[test]
fn a_service_that_no_sentinel_knows_stops_the_start() {
    let sentinels = Sentinels::start();
    let url = sentinels.url().replace(SERVICE, "nobody");
    assert_says(&refused(&[("REDIS_URL", &url)]), &["no Sentinel knows", "redis+sentinel://host1,host2/service"]);
}

#[test]
fn servers_that_are_no_sentinels_and_no_cluster_stop_the_start() {
    let redis = RedisServer::start(&[]);
    let host = redis.url().replace("redis://", "");
    let said = refused(&[("REDIS_URL", &format!("redis+sentinel://{host}/{SERVICE}"))]);
    assert_says(&said, &["is not a Sentinel", "redis://host"]);
    let said = refused(&[("REDIS_URL", &format!("redis+cluster://{host}"))]);
    assert_says(&said, &["not part of a cluster", "redis://host"]);
    let port = free_port();
    let _sentinel = LoneSentinel::start(port, redis.port(), &[]);
    wait_until("the Sentinel listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let said = refused(&[("REDIS_URL", &format!("redis+cluster://127.0.0.1:{port}"))]);
    assert_says(&said, &["not part of a cluster", "redis+sentinel://host1,host2/service"]);
}
