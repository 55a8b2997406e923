//! `auth-service doctor`, and the same checks at the start of the server.

use rstest::rstest;
use serde_json::Value;

use crate::support::{
    ACL, Cluster, RedisServer,
    Store::{self, Embedded, Redis},
    TestApp, free_port, free_port_of_a_node, refused, wait_until,
};

/// Runs `doctor`, and returns the exit status and the findings.
fn doctor(url: &str, settings: &[(&str, &str)]) -> (i32, Vec<Value>) {
    let directory = tempfile::tempdir().unwrap();
    let settings = [&[("REDIS_URL", url)], settings].concat();
    let settings = settings.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    let output = crate::support::command(directory.path(), &settings).args(["doctor", "--json"]).output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = json["findings"].as_array().cloned().unwrap_or_else(|| vec![json]);
    (output.status.code().unwrap(), findings)
}

/// The only finding of a check.
fn of<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    let mut found = findings.iter().filter(|finding| finding["check"] == check);
    let one = found.next().unwrap_or_else(|| panic!("no finding of {check}: {findings:?}"));
    assert!(found.next().is_none(), "{findings:?}");
    one
}

#[track_caller]
fn assert_finding(findings: &[Value], check: &str, verdict: &str, seen: &str) {
    let finding = of(findings, check);
    assert_eq!(finding["verdict"], verdict, "{finding}");
    assert!(finding["seen"].as_str().unwrap().contains(seen), "{finding}");
    let advice = finding["advice"].as_str().unwrap();
    assert_eq!(advice.is_empty(), verdict == "ok", "{finding}");
}

#[rstest]
fn a_healthy_store_has_no_refusal(#[values(Redis, Embedded)] store: Store) {
    let app = match store {
        Redis => TestApp::start(store),
        // `doctor` cannot open an embedded store while a server has it open.
        Embedded => {
            let mut app = TestApp::start(store);
            app.terminate();
            app.wait();
            app
        }
    };
    let output = app.cli(&["doctor"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.lines().next().unwrap().starts_with("ok"), "{text}");
    assert!(!text.contains("REFUSAL"), "{text}");
    let output = app.cli(&["doctor", "--json"]);
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    for finding in findings["findings"].as_array().unwrap() {
        for field in ["place", "check", "verdict", "seen", "advice"] {
            assert!(finding[field].is_string(), "{finding}");
        }
    }
}

#[test]
fn accounts_that_could_be_evicted_stop_the_start() {
    let redis = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]);
    let (status, findings) = doctor(&redis.url(), &[]);
    assert_eq!(status, 1);
    assert_finding(&findings, "eviction", "refusal", "allkeys-lru");
    let said = refused(&[("REDIS_URL", &redis.url())]);
    assert!(said.contains("eviction") && said.contains("noeviction"), "{said}");
}

#[test]
fn tokens_that_could_be_evicted_are_warned_of() {
    let redis = RedisServer::start(&["--maxmemory-policy", "volatile-lru"]);
    let (status, findings) = doctor(&redis.url(), &[]);
    assert_eq!(status, 0);
    assert_finding(&findings, "eviction", "warning", "volatile-lru");
    let app = TestApp::start_on(&redis.url(), &[]);
    assert!(app.log().iter().any(|line| line["level"] == "WARN" && line["message"].to_string().contains("eviction")));
}

#[test]
fn a_full_memory_is_warned_of() {
    let redis = RedisServer::start(&["--maxmemory", "1mb"]);
    assert_finding(&doctor(&redis.url(), &[]).1, "memory", "warning", "of 1 MiB used");
    let () = redis.command(&["CONFIG", "SET", "maxmemory", "100mb"]);
    assert_finding(&doctor(&redis.url(), &[]).1, "memory", "ok", "of 100 MiB used");
}

#[test]
fn persistence_is_reported() {
    let redis = RedisServer::start(&[]);
    assert_finding(&doctor(&redis.url(), &[]).1, "persistence", "warning", "off");
    let () = redis.command(&["CONFIG", "SET", "save", "60 1"]);
    assert_finding(&doctor(&redis.url(), &[]).1, "persistence", "warning", "snapshots only");
    let () = redis.command(&["CONFIG", "SET", "appendonly", "yes"]);
    assert_finding(&doctor(&redis.url(), &[]).1, "persistence", "ok", "append-only");
}

#[test]
fn a_replica_and_an_absent_server_fail() {
    let (status, said) = doctor(&format!("redis://127.0.0.1:{}", free_port()), &[]);
    assert_eq!((status, said[0]["code"].as_str()), (1, Some("store_unreachable")), "{said:?}");
    let redis = RedisServer::start(&["--replicaof", "127.0.0.1", &free_port().to_string()]);
    let (status, findings) = doctor(&redis.url(), &[]);
    assert_eq!(status, 1, "{findings:?}");
    assert_finding(&findings, "address", "refusal", "which is a replica");
    assert!(of(&findings, "address")["seen"].as_str().unwrap().contains("redis+sentinel://host1,host2/service"));
}

/// The ACL of the documentation allows everything that the server does, and has no superfluous right.
#[test]
fn each_command_that_is_not_allowed_is_named() {
    let redis = RedisServer::start(&[]);
    let rules: Vec<_> = ACL.split(' ').collect();
    let set_up = |more: &[&str]| {
        let () = redis.command(&[&["ACL", "SETUSER", "server", "reset", "on", ">secret"], &rules[..], more].concat());
    };
    let user = [("REDIS_USERNAME", "server"), ("REDIS_PASSWORD", "secret"), ("REDIS_WAIT_REPLICAS", "1")];
    set_up(&[]);
    let (status, findings) = doctor(&redis.url(), &user);
    assert_eq!(status, 0, "{findings:?}");
    assert_finding(&findings, "commands", "ok", "all permitted");
    let commands: Vec<_> = rules.iter().filter_map(|rule| rule.strip_prefix('+')).collect();
    assert!(commands.len() > 20, "{commands:?}");
    for command in commands {
        // Commands for a cluster, and commands that the server can do without. Only the command line needs SCAN.
        if ["client|setname", "cluster|slots", "asking", "info", "config|get", "scan"].contains(&command) {
            continue;
        }
        set_up(&[&format!("-{}", command.split('|').next().unwrap())]);
        let (status, findings) = doctor(&redis.url(), &user);
        assert_eq!(status, 1, "without {command}: {findings:?}");
        assert_finding(&findings, "commands", "refusal", &format!("+{command}"));
    }
    set_up(&["resetkeys", "~other:*"]);
    let (status, findings) = doctor(&redis.url(), &user);
    assert_eq!(status, 1, "{findings:?}");
    assert_finding(&findings, "commands", "refusal", "~as:*");
}

#[test]
fn info_and_config_get_without_permission_are_one_warning() {
    let redis = RedisServer::start(&[]);
    let () = redis.command(&["ACL", "SETUSER", "default", "-info", "-config"]);
    let (status, findings) = doctor(&redis.url(), &[]);
    assert_eq!(status, 0, "{findings:?}");
    assert_finding(&findings, "permissions", "warning", "INFO and CONFIG GET");
    assert_eq!(findings.iter().filter(|finding| finding["verdict"] == "warning").count(), 1, "{findings:?}");
    let app = TestApp::start_on(&redis.url(), &[]);
    assert_eq!(app.send("GET", "/readyz", &[], None).status, 200);
}

#[test]
fn each_primary_of_a_cluster_is_checked() {
    let cluster = Cluster::start(&[]);
    let (status, findings) = doctor(&cluster.url(), &[]);
    assert_eq!(status, 0, "{findings:?}");
    for (server, network) in cluster.servers[..3].iter().zip(&cluster.networks) {
        let its = findings.iter().filter(|finding| finding["place"] == format!("127.0.0.1:{}", network.port()));
        let its: Vec<_> = its.cloned().collect();
        assert_finding(&its, "commands", "ok", "all permitted");
        assert_finding(&its, "coverage", "warning", "cluster-require-full-coverage yes");
        let keys: u64 = server.command(&["DBSIZE"]);
        assert_eq!(keys, 0);
    }
}

#[test]
fn a_cluster_that_accepts_writes_without_replicas_is_a_warning_at_the_start_too() {
    let cluster = Cluster::start(&[]);
    let wait = [("REDIS_WAIT_REPLICAS", "1")];
    let replicas = |findings: &[Value]| -> Vec<String> {
        let its = findings.iter().filter(|finding| finding["check"] == "replicas");
        its.map(|finding| format!("{} {}", finding["verdict"], finding["advice"])).collect()
    };
    let before = replicas(&doctor(&cluster.url(), &wait).1);
    assert_eq!(before.len(), 3, "{before:?}");
    assert!(before.iter().all(|line| line.contains("warning") && line.contains("min-replicas-to-write")), "{before:?}");
    let app = TestApp::start_on(&cluster.url(), &wait);
    let warned = app.log().iter().filter(|line| line["message"].to_string().contains("min-replicas-to-write")).count();
    assert_eq!(warned, 3, "{}", app.output());
    for server in &cluster.servers {
        let () = server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    }
    let after = replicas(&doctor(&cluster.url(), &wait).1);
    assert!(after.iter().all(|line| line.starts_with("\"ok\"")), "{after:?}");
}

#[test]
fn a_cluster_without_slots_fails() {
    let redis = RedisServer::start_at(free_port_of_a_node(), &["--cluster-enabled", "yes"]);
    let (status, said) = doctor(&redis.url().replace("redis:", "redis+cluster:"), &[]);
    assert_eq!((status, said[0]["code"].as_str()), (1, Some("store_unreachable")), "{said:?}");
    assert!(said[0]["error"].as_str().unwrap().contains("no slots"), "{said:?}");
}

/// A primary that cannot be reached must not hide a finding of another primary.
#[test]
fn an_unreachable_primary_is_one_warning_beside_the_other_findings() {
    let mut cluster = Cluster::start(&["--cluster-require-full-coverage", "no"]);
    let replica = cluster.replica_of(2);
    cluster.servers[replica].kill();
    cluster.servers[2].kill();
    let () = cluster.servers[0].command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let (status, findings) = doctor(&cluster.url(), &[]);
    assert_eq!(status, 1, "{findings:?}");
    assert_finding(&findings, "connection", "warning", "cannot be reached");
    assert!(findings.iter().any(|finding| finding["check"] == "eviction" && finding["verdict"] == "refusal"));
    let said = refused(&[("REDIS_URL", &cluster.url())]);
    assert!(said.contains("noeviction"), "{said}");
}

/// If Redis starts after the server, a finding that stops the start stops the running server.
#[test]
fn a_redis_that_starts_after_the_server_is_checked_then() {
    let mut redis = RedisServer::start(&[]);
    redis.kill();
    let mut app = TestApp::start_on(&redis.url(), &[("SHUTDOWN_DELAY_SECONDS", "0")]);
    redis.spawn(&["--maxmemory-policy", "allkeys-lru"]);
    assert_eq!(app.wait().code(), Some(2), "{}", app.output());
    assert!(app.output().contains("noeviction"), "{}", app.output());

    redis.kill();
    let app = TestApp::start_on(&redis.url(), &[]);
    redis.spawn(&["--maxmemory-policy", "volatile-lru"]);
    wait_until("the server has checked Redis", || app.output().contains("volatile-lru"));
    assert_eq!(app.send("GET", "/readyz", &[], None).status, 200);
}

#[test]
fn a_server_that_refuses_writes_now_is_warned_of() {
    let redis = RedisServer::start(&[]);
    for (setting, value, code) in [("maxmemory", "1", "OOM"), ("min-replicas-to-write", "1", "NOREPLICAS")] {
        let () = redis.command(&["CONFIG", "SET", setting, value]);
        let (status, findings) = doctor(&redis.url(), &[]);
        assert_eq!(status, 0, "{findings:?}");
        assert_finding(&findings, "writes", "warning", code);
        let () = redis.command(&["CONFIG", "SET", setting, "0"]);
    }
    assert_finding(&doctor(&redis.url(), &[]).1, "commands", "ok", "all permitted");
}

#[test]
fn too_few_replicas_are_warned_of() {
    let redis = RedisServer::start(&[]);
    let (status, findings) = doctor(&redis.url(), &[("REDIS_WAIT_REPLICAS", "1")]);
    assert_eq!(status, 0, "{findings:?}");
    assert_finding(&findings, "replicas", "warning", "0 connected");
    let keys: u64 = redis.command(&["DBSIZE"]);
    assert_eq!(keys, 0, "the checks leave nothing behind");
}
