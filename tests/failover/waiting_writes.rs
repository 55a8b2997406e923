//! Writes that wait for replicas: which writes are acknowledged, and the answers to all other writes.

use std::{collections::HashMap, thread};

use serde_json::json;

use crate::support::{
    ACL, Answer, MovingSlot, PASSWORD, RedisServer, Session, TestApp, assert_moved, assert_serves, cluster_scene,
    in_time, not_beside_load, sentinel_scene, unique_email, wait_until,
};

const WAIT: (&str, &str) = ("REDIS_WAIT_REPLICAS", "1");

/// A primary and its replica.
fn pair() -> (RedisServer, RedisServer) {
    let primary = RedisServer::start(&[]);
    let replica = RedisServer::start(&["--replicaof", "127.0.0.1", &primary.port().to_string()]);
    wait_until("the replica follows", || follows(&replica));
    (primary, replica)
}

fn follows(replica: &RedisServer) -> bool {
    let info: Option<String> = replica.try_command(&["INFO", "replication"]);
    info.is_some_and(|info| info.contains("master_link_status:up"))
}

#[track_caller]
fn assert_code(answer: &Answer, status: u16, codes: &[&str]) {
    let body = answer.json();
    assert!(answer.status == status && codes.contains(&body["code"].as_str().unwrap()), "{answer:?}");
}

#[test]
fn a_write_that_replicas_do_not_have_is_not_acknowledged() {
    let _turn = not_beside_load();
    let (primary, replica) = pair();
    let app = TestApp::start_on(&primary.url(), &[("REDIS_WAIT_REPLICAS", "1")]);
    assert_serves(&app);
    let [changed, deleted, removed, left, ended] = [(); 5].map(|()| app.new_session());
    let bearer = |session: &Session| format!("Bearer {}", session.access_token);
    let new_password = "another correct horse";
    let change = json!({"current_password": PASSWORD, "new_password": new_password}).to_string();
    let delete = json!({"password": PASSWORD}).to_string();
    replica.freeze();

    let assert_not_replicated = |answer: Answer| {
        assert_eq!(answer.status, 503, "{answer:?}");
        let body = answer.json();
        assert_eq!(body["code"], "not_replicated", "{answer:?}");
        assert!(body["error"].as_str().unwrap().contains("a failover may undo it"), "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    };
    let email = unique_email();
    assert_not_replicated(app.sign_up(&email, PASSWORD));
    assert_not_replicated(app.sign_up(&email, PASSWORD));
    assert_not_replicated(app.remove_access_token(&removed.email));
    // The tokens are gone, but the answer must not say so before the replicas have the removal.
    assert_not_replicated(app.remove_access_token(&removed.email));
    let put = || app.send("PUT", "/user/password", &[("Authorization", &bearer(&changed))], Some(&change));
    assert_not_replicated(put());
    // The new password is in force, but the answer must not say so before the replicas have it.
    assert_not_replicated(put());
    assert_not_replicated(app.send("DELETE", "/user", &[("Authorization", &bearer(&deleted))], Some(&delete)));
    assert_not_replicated(app.send("POST", "/signout", &[("Authorization", &bearer(&left))], None));
    let list = app.send("GET", "/sessions", &[("Authorization", &bearer(&ended))], None).json();
    let path = format!("/sessions/{}", list["data"][0]["id"].as_str().unwrap());
    assert_not_replicated(app.send("DELETE", &path, &[("Authorization", &bearer(&ended))], None));
    // Writes that need not outlive the primary do not wait.
    assert_eq!(app.authenticate(&changed.email, new_password).status, 200);

    replica.thaw();
    wait_until("the replica follows", || follows(&replica));
    let other = app.sign_up(&email, "not the same");
    assert_eq!((other.status, other.json()["code"].as_str()), (409, Some("email_taken")), "{other:?}");
    let again = app.sign_up(&email, PASSWORD);
    again.assert(201, &json!({"result": "Account successfully created"}));
    // Once the sign-up is acknowledged, the email is taken.
    assert_eq!(app.sign_up(&email, PASSWORD).status, 409);
    assert_eq!(app.authenticate(&email, PASSWORD).status, 200);
    assert_eq!(app.remove_access_token(&removed.email).status, 404);
    assert_eq!(app.current_user(&removed.access_token).status, 401);
    // docs/guarantees.md explains the answers to the other repeated requests.
    assert_moved(&put(), "Password changed, all other sessions ended");
    let again = app.send("DELETE", "/user", &[("Authorization", &bearer(&deleted))], Some(&delete));
    assert_eq!(again.status, 401, "{again:?}");
    for session in [&left, &ended] {
        assert_eq!(app.current_user(&session.access_token).status, 401);
    }
}

/// The repeated sign-up has found no account. Then the first sign-up, whose answer was lost, creates the account.
#[test]
fn a_sign_up_that_completes_while_its_repeat_hashes_is_no_conflict() {
    let _turn = not_beside_load();
    let (primary, replica) = pair();
    let app = TestApp::start_on(&primary.url(), &[WAIT]);
    let slow = TestApp::start_on(&primary.url(), &[WAIT, ("ARGON2_MEMORY_KIB", "65536"), ("ARGON2_ITERATIONS", "32")]);
    let looks = || {
        let stats: String = primary.command(&["INFO", "commandstats"]);
        let line = stats.lines().find(|line| line.starts_with("cmdstat_get:calls="));
        line.map_or(0, |line| line.split(['=', ',']).nth(1).unwrap().parse::<u64>().unwrap())
    };
    let (email, before) = (unique_email(), looks());
    thread::scope(|scope| {
        let repeat = scope.spawn(|| slow.sign_up(&email, PASSWORD));
        wait_until("the repeat has looked for the account", || looks() > before);
        replica.freeze();
        assert_code(&app.sign_up(&email, PASSWORD), 503, &["not_replicated"]);
        replica.thaw();
        assert!(!repeat.is_finished(), "the repeat still hashes");
        repeat.join().unwrap().assert(201, &json!({"result": "Account successfully created"}));
    });
    assert_eq!(app.sign_up(&email, PASSWORD).status, 409, "the email is taken after the acknowledgement");
}

/// More writes wait than the server has connections for. The other writes get 503, and all other requests are served.
#[test]
fn slow_replicas_delay_only_writes_that_wait() {
    let _turn = not_beside_load();
    let (primary, replica) = pair();
    let app = TestApp::start_on(&primary.url(), &[WAIT]);
    let session = app.new_session();
    replica.freeze();
    thread::scope(|scope| {
        let removals: Vec<_> = (0..80)
            .map(|_| scope.spawn(|| in_time("DELETE /access-token", || app.remove_access_token(&unique_email()))))
            .collect();
        while removals.iter().any(|removal| !removal.is_finished()) {
            let answer = app.current_user(&session.access_token);
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        for removal in removals {
            assert_code(&removal.join().unwrap(), 503, &["not_replicated", "overloaded"]);
        }
    });
    assert_eq!(app.current_user(&session.access_token).status, 200);
    replica.thaw();
}

#[test]
fn a_removal_needs_no_memory() {
    let (primary, _replica) = pair();
    let app = TestApp::start_on(&primary.url(), &[WAIT]);
    let session = app.new_session();
    let () = primary.command(&["CONFIG", "SET", "maxmemory", "1"]);
    app.remove_access_token(&session.email).assert(200, &json!({"result": "Access token removed"}));
    assert_eq!(app.current_user(&session.access_token).status, 401);
    assert_code(&app.sign_up(&unique_email(), PASSWORD), 503, &["store_out_of_memory"]);
    // The server needs a write to learn whether the replicas have the removal.
    assert_code(&app.remove_access_token(&session.email), 503, &["store_out_of_memory"]);
    let () = primary.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_code(&app.remove_access_token(&session.email), 404, &["token_not_found"]);
}

#[test]
fn the_documented_acl_suffices() {
    let (primary, _replica) = pair();
    let words = ["ACL", "SETUSER", "server", "on", ">secret"].into_iter().chain(ACL.split(' '));
    let () = primary.command(&words.collect::<Vec<_>>());
    let app = TestApp::start_on(&primary.url().replace("redis://", "redis://server:secret@"), &[WAIT]);
    // Enough requests to use each connection of the pool more than once.
    for _ in 0..40 {
        assert_serves(&app);
    }
    let denied: Vec<HashMap<String, redis::Value>> = primary.command(&["ACL", "LOG"]);
    let denied: Vec<_> = denied.iter().map(|entry| format!("{:?}", entry["object"])).collect();
    // The library sends CLIENT SETINFO, and does not need it.
    assert!(denied.iter().all(|object| object.contains("client")), "{denied:?}");
}

/// The replica of the node that takes the slot over is frozen. Writes that reach this node by ASK must wait for the
/// replica.
#[test]
fn writes_to_a_moving_slot_also_wait_for_replicas() {
    let _turn = not_beside_load();
    let (cluster, app, sessions) = cluster_scene(&[WAIT]);
    let ((from, session), (to, _)) = (&sessions[0], &sessions[1]);
    let replica = cluster.replica_of(*to);
    let (from, to) = (&cluster.servers[*from], &cluster.servers[*to]);
    let moving = MovingSlot::start(from, to, &session.email);
    for key in moving.keys() {
        moving.move_key(&key);
    }
    cluster.servers[replica].freeze();
    for _ in 0..2 {
        let answer = in_time("DELETE /access-token", || app.remove_access_token(&session.email));
        // The node that cannot confirm may have the feed of revocations, too.
        assert_code(&answer, 503, &["not_replicated", "store_not_replicated"]);
    }
    cluster.servers[replica].thaw();
    wait_until("the replica follows", || app.remove_access_token(&session.email).status == 404);
    moving.finish();
    assert_eq!(app.current_user(&session.access_token).status, 401);
}

#[test]
fn most_sentinels_must_confirm_the_primary() {
    let _turn = not_beside_load();
    let (mut sentinels, app, session) = sentinel_scene(&[WAIT, ("REDIS_WAIT_TIMEOUT_MS", "200")]);
    assert_serves(&app);
    sentinels.freeze_sentinel(2);
    for _ in 0..5 {
        assert_serves(&app);
    }
    sentinels.keep_sentinels(1);
    for _ in 0..3 {
        assert_code(&in_time("POST /signup", || app.sign_up(&unique_email(), PASSWORD)), 503, &["not_replicated"]);
        assert_eq!(app.current_user(&session.access_token).status, 200, "requests that do not wait are served");
    }
    // The only remaining Sentinel may be cut off from the others, so the server must not trust it alone.
    let late = TestApp::start_on(&sentinels.url(), &[]);
    assert_code(&late.send("GET", "/readyz", &[], None), 503, &["store_unreachable"]);
    sentinels.keep_sentinels(0);
    assert_code(&in_time("POST /signup", || app.sign_up(&unique_email(), PASSWORD)), 503, &["not_replicated"]);
    assert_eq!(app.current_user(&session.access_token).status, 200);
}
