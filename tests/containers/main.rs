//! A test of the deployment that deploy/test-docker.sh has started. It changes the deployment under load through the
//! published port.
//!
//! `cargo test` leaves this target out. The script builds it with `cargo test --test containers --no-run`, and runs it.

#![expect(clippy::unwrap_used, reason = "a test panics at the step that fails")]

#[path = "../api/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests in `api` use the rest")]
mod support;

use std::process::Command;

use serde_json::json;

use crate::support::{
    Load, PASSWORD, kill_in_flight,
    load::{CLIENTS, Report, post},
    new_session, raw, wait_longer,
};

/// One test, because each step changes the deployment under the other steps.
#[test]
fn the_deployment_serves_while_it_changes() {
    the_five_requests();
    forged_addresses_are_ignored();
    during("restart of all replicas, one after another", || {
        for id in replicas() {
            docker(&["restart", "--time", "15", &id]);
            wait_healthy(3);
        }
    })
    .assert_none_failed();
    during("scaling to 1, 3 and 2", || {
        for count in [1, 3, 2] {
            scale(count);
        }
    })
    .assert_none_failed();
    let replica = replicas().remove(0);
    let signal = |name| docker(&["kill", "--signal", name, &replica]);
    kill_in_flight(port(), || signal("STOP"), || signal("KILL"));
    scale(3);
    let report = during("SIGKILL of one replica", || docker(&["kill", "--signal", "KILL", &replicas()[0]]));
    // Each client has at most one request in flight. The load balancer repeats reads, so no read may fail.
    let failures = report.failures();
    assert!(failures.len() <= CLIENTS && failures.iter().all(|(path, _)| *path != "/user"), "{failures:?}");
    scale(3);
    let report = during("restart of Redis", || {
        compose(&["restart", "redis"]);
        wait_longer(60, "the server is ready again", || {
            raw::exchange(port(), &raw::request("GET", "/readyz", &[], None)).is_some_and(|a| a.status == 200)
        });
    });
    assert!(report.failures().iter().all(|(_, status)| *status == Some(503)), "{:?}", report.failures());
    Load::start(port()).stop().assert_none_failed();
}

fn the_five_requests() {
    let session = new_session(port());
    let send = |method, path, token: &str, body: Option<serde_json::Value>| {
        let headers = [("Authorization", token), ("Content-Type", "application/json")];
        raw::exchange(port(), &raw::request(method, path, &headers, body.map(|b| b.to_string()).as_deref())).unwrap()
    };
    let (access, refresh) = (&session.access_token, json!({"refresh_token": session.refresh_token}));
    let account = json!({"email": session.email, "password": PASSWORD});
    assert_eq!(send("GET", "/authenticate", "", Some(account)).status, 200);
    let owner = json!({"email": session.email});
    assert_eq!(send("GET", "/user", access, Some(owner.clone())).json()["data"]["email"], session.email.as_str());
    assert_eq!(post(port(), "/refresh-access-token", &refresh).unwrap().status, 200);
    assert_eq!(send("DELETE", "/access-token", "", Some(owner)).json(), json!({"result": "Access token removed"}));
    assert_eq!(send("GET", "/user", access, None).status, 401);
    assert_eq!(post(port(), "/refresh-access-token", &refresh).unwrap().status, 404);
}

fn forged_addresses_are_ignored() {
    let session = new_session(port());
    let account = json!({"email": session.email, "password": PASSWORD}).to_string();
    let json = ("Content-Type", "application/json");
    let forged = [json, ("X-Forwarded-For", "203.0.113.7"), ("Forwarded", "for=203.0.113.7")];
    let answer = raw::exchange(port(), &raw::request("POST", "/authenticate", &forged, Some(&account))).unwrap();
    let access_token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let request = raw::request("GET", "/sessions", &[("Authorization", &access_token)], None);
    let listed = raw::exchange(port(), &request).unwrap().json().to_string();
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let balancer = compose(&["ps", "-q", "load-balancer"]);
    let balancer = run(Command::new("docker").args(["inspect", "--format", format, balancer.trim()]));
    // The test does not know the address of the client, so it excludes the two wrong addresses.
    assert!(listed.contains(r#""ip":""#) && !listed.contains("203.0.113.7"), "{listed}");
    assert!(!listed.contains(&format!(r#""ip":"{}""#, balancer.trim())), "{listed}");
}

fn during(what: &str, change: impl FnOnce()) -> Report {
    let load = Load::start(port());
    change();
    load.wait_for_more();
    let report = load.stop();
    eprintln!("{what}: {report}");
    report
}

fn port() -> u16 {
    std::env::var("PORT").unwrap().parse().unwrap()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn docker(arguments: &[&str]) {
    run(Command::new("docker").args(arguments));
}

/// Runs Compose. `TEST_COMPOSE` is `docker-compose` or `docker compose`.
fn compose(arguments: &[&str]) -> String {
    let words = std::env::var("TEST_COMPOSE").unwrap();
    let mut words = words.split(' ');
    run(Command::new(words.next().unwrap()).args(words).args(arguments))
}

/// Scales the replicas. Compose also restarts killed replicas.
fn scale(count: usize) {
    compose(&["up", "-d", "--no-deps", "--no-recreate", "--scale", &format!("server={count}"), "server"]);
    wait_healthy(count);
}

/// The ids of the running replicas.
fn replicas() -> Vec<String> {
    let status = |id: &str| run(Command::new("docker").args(["inspect", "--format", "{{.State.Status}}", id]));
    let ids = compose(&["ps", "-q", "server"]);
    ids.lines().filter(|id| status(id).trim() == "running").map(str::to_owned).collect()
}

fn wait_healthy(count: usize) {
    let health = |id: &String| {
        run(Command::new("docker").args(["inspect", "--format", "{{.State.Health.Status}}", id])).trim() == "healthy"
    };
    wait_longer(60, "the replicas are healthy", || {
        let ids = replicas();
        ids.len() == count && ids.iter().all(health)
    });
}
