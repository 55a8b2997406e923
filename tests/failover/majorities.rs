//! A single Sentinel or node that contradicts the others is outvoted.

use crate::support::{
    Cluster, LoneSentinel, PASSWORD, RedisServer, SERVICE, Sentinels, TestApp, assert_away, assert_serves,
    cluster_scene, every_worker, free_port, free_port_of_a_node, in_time, key, not_beside_load, raw, unique_email,
    wait_until,
};

#[test]
fn a_sentinel_that_names_another_server_is_outvoted() {
    let _turn = not_beside_load();
    let sentinels = Sentinels::start();
    let (other, port) = (RedisServer::start(&[]), free_port());
    let _liar = LoneSentinel::start(port, other.port(), &[]);
    wait_until("the Sentinel listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let honest = sentinels.url();
    let hosts: Vec<_> = honest.trim_start_matches("redis+sentinel://").split([',', '/']).collect();
    let app = TestApp::start_on(
        &format!("redis+sentinel://127.0.0.1:{port},{},{}/{SERVICE}", hosts[0], hosts[1]),
        &[("REDIS_WAIT_REPLICAS", "1")],
    );
    for _ in 0..5 {
        assert_serves(&app);
    }
    let app = TestApp::start_on(&format!("redis+sentinel://127.0.0.1:{port},{}/{SERVICE}", hosts[0]), &[]);
    for _ in 0..5 {
        assert_away(&app.sign_up(&unique_email(), PASSWORD));
    }
    let keys: u64 = other.command(&["DBSIZE"]);
    assert_eq!(keys, 0, "nobody has written to the server that one Sentinel names");
}

#[test]
fn a_node_with_a_map_of_its_own_is_outvoted() {
    let _turn = not_beside_load();
    let cluster = Cluster::start(&[]);
    let alone = RedisServer::start_at(free_port_of_a_node(), &["--cluster-enabled", "yes"]);
    alone.take_all_slots();
    let hosts = cluster.url().replace("redis+cluster://", "");
    let app = TestApp::start_on(&format!("redis+cluster://127.0.0.1:{},{hosts}", alone.port()), &[]);
    for _ in 0..10 {
        assert_serves(&app);
    }
    let keys: u64 = alone.command(&["DBSIZE"]);
    assert_eq!(keys, 0, "nobody has written to the node outside the cluster");
}

#[test]
fn cluster_down_is_503_only_for_users_of_the_missing_slots() {
    let _turn = not_beside_load();
    let (cluster, app, sessions) = cluster_scene(&[]);
    let (owner, session) = &sessions[0];
    let slot: u16 = cluster.servers[0].command(&["CLUSTER", "KEYSLOT", &key(&session.email)]);
    let slot = slot.to_string();
    let its = || in_time("GET /user", || app.current_user(&session.access_token));
    let ready = || in_time("GET /readyz", || app.send("GET", "/readyz", &[], None)).status;
    let () = cluster.servers[*owner].command(&["CLUSTER", "DELSLOTS", &slot]);
    for _ in 0..10 {
        let answer = its();
        assert_away(&answer);
        assert_eq!(answer.json()["code"], "store_cluster_down", "{answer:?}");
        assert_eq!(app.current_user(&sessions[1].1.access_token).status, 200, "users of other slots are served");
        assert_eq!(ready(), 200, "the server can still serve users of other slots");
    }
    // Now all primaries are down.
    let () = cluster.servers[*owner].command(&["CLUSTER", "ADDSLOTS", &slot]);
    for (primary, _) in &sessions {
        let () = cluster.servers[*primary].command(&["CONFIG", "SET", "cluster-require-full-coverage", "yes"]);
        let () = cluster.servers[*primary].command(&["CLUSTER", "DELSLOTS", &slot]);
    }
    wait_until("the server is not ready", || ready() == 503);
    for _ in 0..10 {
        for (_, session) in &sessions {
            assert_away(&in_time("GET /user", || app.current_user(&session.access_token)));
        }
        assert_eq!(ready(), 503);
    }
    for (primary, _) in &sessions {
        let () = cluster.servers[*primary].command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let () = cluster.servers[*owner].command(&["CLUSTER", "ADDSLOTS", &slot]);
    for (_, session) in &sessions {
        let request = raw::request("GET", "/user", &[("Authorization", &session.access_token)], None);
        wait_until("each user is served again", || every_worker(app.port(), &request, |answer| answer.status == 200));
    }
    assert_eq!(ready(), 200);
    assert_serves(&app);
}
