//! The ACL of docs/redis.md, pasted from the page into `redis-cli`.

use std::{collections::HashMap, io::Write, process::Stdio};

use redis::Value;
use serde_json::json;

use crate::support::{
    ACL, Cluster, LoneSentinel, PASSWORD, RedisServer, SERVICE, TestApp, expired_access_token, free_port, program,
    unique_email, wait_until,
};

/// Settings with which the server uses all of its commands, except those that wait for replicas.
const SETTINGS: [(&str, &str); 3] =
    [("REFRESH_TOKEN_ROTATION", "on"), ("ADDRESS_LIMIT", "1000"), ("SIGNUP_LIMIT_PER_HOUR", "1000")];

/// The commands of the page, a block for the Redis servers and a block for the Sentinels.
fn blocks() -> [&'static str; 2] {
    let page = include_str!("../../../docs/redis.md");
    let blocks: Vec<_> = page
        .split("\n```")
        .filter_map(|block| block.strip_prefix("text\n"))
        .filter(|b| b.starts_with("ACL "))
        .collect();
    blocks.try_into().unwrap_or_else(|blocks| panic!("two blocks of ACL commands are expected: {blocks:#?}"))
}

/// Pastes a block into `redis-cli` without a change, so that the password of the user `auth-service` is `PASSWORD`.
fn paste(block: &str, port: u16, arguments: &[&str]) {
    let mut command = program("redis-cli");
    command.args(["-p", &port.to_string(), "--no-auth-warning"]).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", block.trim_end()).unwrap();
    let answers = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let accepted = answers.lines().filter(|answer| *answer == "OK").count();
    assert_eq!(accepted, block.trim_end().lines().count(), "{answers}");
}

/// Calls every route that uses the store, with the outcomes that use different commands.
fn assert_every_route_serves(app: &TestApp) {
    let session = app.new_session();
    let email = session.email.as_str();
    app.sign_up(email, PASSWORD).assert_error(409, "email_taken");
    app.authenticate(email, "not the password").assert_error(401, "invalid_credentials");
    app.authenticate(&unique_email(), PASSWORD).assert_error(401, "invalid_credentials");
    assert_eq!(app.current_user(&session.access_token).status, 200);
    let (expired, refresh) = (expired_access_token(&session), session.refresh_token.as_str());
    let renewing = [("Authorization", expired.as_str()), ("Refresh-Token", refresh)];
    let renewed = app.send("GET", "/user", &renewing, None);
    assert!(renewed.status == 200 && renewed.header("access-token").is_some(), "{renewed:?}");
    // The second refresh comes with a token that the first has spent.
    for _ in 0..2 {
        assert_eq!(app.refresh_access_token(refresh).status, 200);
    }
    let other = app.session_of(email).id();
    let token = app.session_of(email).access_token;
    assert_eq!(app.session_ids(&token).len(), 3);
    assert_eq!(app.send_as(&token, "GET", &format!("/sessions?after={other}"), None).status, 200);
    assert_eq!(app.send_as(&token, "DELETE", &format!("/sessions/{other}"), None).status, 200);
    assert_eq!(app.send_as(&token, "DELETE", "/sessions?except=current", None).status, 200);
    app.change_password(&token, "not the password", PASSWORD).assert_error(403, "wrong_password");
    assert_eq!(app.change_password(&token, PASSWORD, PASSWORD).status, 200);
    assert_eq!(app.send_as(&token, "POST", "/signout", None).status, 200);
    let token = app.session_of(email).access_token;
    assert_eq!(app.send_as(&token, "DELETE", "/sessions", None).status, 200);
    let token = app.session_of(email).access_token;
    assert_eq!(app.remove_access_token(email).status, 200);
    app.current_user(&token).assert_error(401, "invalid_token");
    let token = app.session_of(email).access_token;
    let body = json!({"password": PASSWORD});
    assert_eq!(app.send_as(&token, "DELETE", "/user", Some(&body)).status, 200);
    assert_eq!(app.send("GET", "/readyz", &[], None).status, 200);
}

/// Runs every command that uses the store.
fn assert_every_command_works(app: &TestApp) {
    let session = app.new_session();
    let (email, id) = (session.email.as_str(), session.id());
    let lines: [&[&str]; 6] = [
        &["user", "show", email],
        &["sessions", "list", email],
        &["sessions", "end", email, &id],
        &["tokens", "revoke", email],
        &["user", "delete", email],
        &["doctor"],
    ];
    app.session_of(email);
    for line in lines {
        let output = app.cli(line);
        let said = [&output.stdout[..], &output.stderr].concat();
        assert_eq!(output.status.code(), Some(0), "{line:?}: {}", String::from_utf8_lossy(&said));
    }
}

/// Asserts that the server has used no command and no key without permission.
fn assert_none_denied(server: &RedisServer) {
    let denied: Vec<HashMap<String, Value>> = server.command(&["ACL", "LOG"]);
    let denied: Vec<_> = denied.iter().map(|entry| format!("{:?}", entry["object"])).collect();
    // The library sends CLIENT SETINFO, which Redis knows since 7.2, and does not need it.
    assert!(denied.iter().all(|object| object.contains("client")), "{denied:?}");
}

#[test]
fn the_documented_acl_is_the_one_that_the_tests_run_under() {
    let granted =
        blocks()[0].lines().flat_map(|line| line.strip_prefix("ACL SETUSER auth-service ").unwrap().split(' '));
    let granted: Vec<_> = granted.filter(|word| !["on", ">PASSWORD"].contains(word)).collect();
    assert_eq!(granted.join(" "), ACL);
}

#[test]
fn the_acl_can_be_pasted_from_the_page() {
    let redis = RedisServer::start(&[]);
    paste(blocks()[0], redis.port(), &[]);
    let app = TestApp::start_on(&redis.url().replace("redis://", "redis://auth-service:PASSWORD@"), &SETTINGS);
    assert_every_route_serves(&app);
    assert_every_command_works(&app);
    assert_none_denied(&redis);
}

#[test]
fn the_acl_can_be_pasted_into_each_node_of_a_cluster() {
    let cluster = Cluster::start(&[]);
    for server in &cluster.servers {
        paste(blocks()[0], server.port(), &[]);
    }
    let settings = [&SETTINGS[..], &[("REDIS_WAIT_REPLICAS", "1"), ("REDIS_WAIT_TIMEOUT_MS", "500")]].concat();
    let app = TestApp::start_on(&cluster.url().replace("://", "://auth-service:PASSWORD@"), &settings);
    // The keys of a user are on one node, so several users reach all nodes.
    for _ in 0..6 {
        assert_every_route_serves(&app);
    }
    assert_every_command_works(&app);
    cluster.servers.iter().for_each(assert_none_denied);
}

#[test]
fn the_acl_of_a_sentinel_can_be_pasted_from_the_page() {
    let redis = RedisServer::start(&[]);
    paste(blocks()[0], redis.port(), &[]);
    let port = free_port();
    // A Sentinel with a password refuses clients without credentials.
    let _sentinel = LoneSentinel::start(port, redis.port(), &["requirepass planted"]);
    wait_until("the Sentinel listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    paste(blocks()[1], port, &["-a", "planted"]);
    let url = format!("redis+sentinel://auth-service:PASSWORD@127.0.0.1:{port}/{SERVICE}");
    let app = TestApp::start_on(&url, &SETTINGS);
    assert_every_route_serves(&app);
    assert_every_command_works(&app);
    assert_none_denied(&redis);
}
