//! REDIS_KEY_PREFIX: several environments on one Redis or one cluster.

use crate::support::{ACL, Cluster, PASSWORD, RedisServer, TestApp, assert_serves};

/// Asserts that two environments do not see each other's accounts, and that each key begins with one of their prefixes.
fn assert_apart(url: &str, servers: &[&RedisServer]) {
    let [blue, green] = ["blue:", "green/"].map(|prefix| TestApp::start_on(url, &[("REDIS_KEY_PREFIX", prefix)]));
    let session = blue.new_session();
    session.assert_lives([&blue]);
    session.assert_dead([&green]);
    green.authenticate(&session.email, PASSWORD).assert_error(401, "invalid_credentials");
    green.remove_access_token(&session.email).assert_error(404, "token_not_found");
    assert_eq!(green.sign_up(&session.email, "another password").status, 201);
    let other = green.sign_in(&session.email, "another password");
    assert_eq!(green.delete_user(&other.access_token, "another password").status, 200);
    session.assert_lives([&blue]);
    for app in [&blue, &green] {
        assert_eq!(app.send("GET", "/readyz", &[], None).status, 200);
    }
    let keys: Vec<String> = servers.iter().flat_map(|server| server.command::<Vec<String>>(&["KEYS", "*"])).collect();
    assert!(keys.len() > 4, "{keys:?}");
    for key in keys {
        assert!(key.starts_with("blue:") || key.starts_with("green/"), "{key}");
    }
}

#[test]
fn two_prefixes_on_one_redis_do_not_see_each_other() {
    let redis = RedisServer::start(&[]);
    assert_apart(&redis.url(), &[&redis]);
}

#[test]
fn two_prefixes_in_one_cluster_do_not_see_each_other() {
    let cluster = Cluster::start(&[]);
    let servers: Vec<_> = cluster.servers.iter().collect();
    assert_apart(&cluster.url(), &servers);
}

#[test]
fn an_acl_user_needs_rights_only_to_the_prefix() {
    let redis = RedisServer::start(&[]);
    let acl = ACL.replace("~as:*", "~blue:*");
    let words = ["ACL", "SETUSER", "server", "on", ">secret"].into_iter().chain(acl.split(' '));
    let () = redis.command(&words.collect::<Vec<_>>());
    let url = redis.url().replace("redis://", "redis://server:secret@");
    assert_serves(&TestApp::start_on(&url, &[("REDIS_KEY_PREFIX", "blue:")]));
}
