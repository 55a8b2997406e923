//! Replicas that restart, die, or have another secret.

use std::time::Instant;

use crate::{
    site::{Ports, Site, site_of},
    support::{RedisServer, SECRETS, TestApp, refused_in, wait_longer},
    traffic::Traffic,
};

const OTHER_SECRETS: [(&str, &str); 2] = [
    ("AUTH_SECRET_KEY", "another access secret of the tests, 32+"),
    ("REFRESH_SECRET_KEY", "another refresh secret of the tests, 32+"),
];

/// Replaces a replica by one that starts with the same settings after it has ended.
fn restart(apps: &mut Vec<TestApp>, n: usize, stop: impl Fn(&mut TestApp)) {
    let mut app = apps.remove(n);
    stop(&mut app);
    apps.insert(n, app.restart());
}

fn stop(app: &mut TestApp) {
    app.terminate();
    app.wait();
}

#[test]
fn an_update_under_traffic_fires_nothing() {
    let redis = RedisServer::start(&[]);
    let (site, mut apps) = site_of(2, &[], |settings| TestApp::start_on(&redis.url(), settings));
    let _traffic = Traffic::usual(&apps);
    for n in 0..2 {
        restart(&mut apps, n, stop);
        site.prometheus.wait_for_replicas(2);
    }
    // A ratio has no value before its window has samples.
    let count = || site.prometheus.query("count_over_time(up[5m])")[0]["value"][1].as_str().unwrap().to_owned();
    wait_longer(60, "Prometheus has scraped for longer than a window", || count().parse::<u32>().unwrap() >= 18);
    site.assert_no_other();
}

#[test]
fn replicas_that_are_killed() {
    let redis = RedisServer::start(&[]);
    let (mut site, mut apps) = site_of(2, &[], |settings| TestApp::start_on(&redis.url(), settings));
    let _traffic = Traffic::usual(&apps);
    let since = Instant::now();
    apps[0].kill();
    site.expect("one of two replicas is killed", since, &["AuthServiceReplicaDown"]);
    let since = Instant::now();
    apps[1].kill();
    site.expect("the other replica is killed", since, &["AuthServiceDown"]);
    let since = Instant::now();
    let mut apps: Vec<_> = apps.into_iter().map(TestApp::restart).collect();
    site.expect_peace("both replicas start", since);
    let since = Instant::now();
    let starts = || site.prometheus.query("sum(process_start_time_seconds)")[0]["value"][1].clone();
    let restarts = "changes(process_start_time_seconds[15m]) >= 3";
    // On a busy machine, a fourth restart may be necessary to have three of them within the window.
    wait_longer(120, "Prometheus has seen three restarts", || {
        let before = starts();
        restart(&mut apps, 0, TestApp::kill);
        wait_longer(60, "Prometheus sees the restart", || starts() != before);
        !site.prometheus.query(restarts).is_empty()
    });
    site.expect("a replica is killed three times", since, &["AuthServiceRestarts"]);
    site.expect_peace("the replica runs", Instant::now());
}

/// If the store knows the secrets of the other replicas, the replica does not start. If the store has lost them, the replica
/// serves, and each replica refuses the tokens of the other.
#[test]
fn a_replica_with_another_secret() {
    let redis = RedisServer::start(&[]);
    let ports = [Ports::new(), Ports::new()];
    let start = |n: usize, secrets: &[(&str, &str)]| {
        ports[n].start(secrets, |settings| TestApp::start_on(&redis.url(), settings))
    };
    let good = start(0, &SECRETS);
    let since = Instant::now();
    let directory = tempfile::tempdir().unwrap();
    let url = redis.url();
    let settings = [&OTHER_SECRETS[..], &[("REDIS_URL", url.as_str())]].concat();
    let (status, said) = refused_in(directory.path(), &settings);
    assert_eq!(status, 2, "{said}");
    let mut site = Site::watching(&ports, 1);
    site.expect("a replica does not start with another secret", since, &["AuthServiceReplicaDown"]);
    let since = Instant::now();
    let () = redis.command(&["DEL", "as:secrets"]);
    let mut apps = vec![good, start(1, &OTHER_SECRETS)];
    let traffic = Traffic::usual(&apps);
    site.expect("a replica serves with another secret", since, &["AuthServiceBadSignatures"]);
    let since = Instant::now();
    drop(traffic);
    stop(&mut apps[1]);
    assert!(apps[0].cli(&["secrets", "adopt"]).status.success());
    apps[1] = start(1, &SECRETS);
    let _traffic = Traffic::usual(&apps);
    site.expect_peace("the replica has the right secret", since);
}
