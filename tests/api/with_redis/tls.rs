//! Redis with TLS and client certificates, on one server, under a Sentinel and in a cluster.

use crate::support::{
    Certificates, PASSWORD, SERVICE, TestApp, alone, assert_away, assert_says, assert_serves, every_worker, free_port,
    free_port_of_a_node, in_time, raw, refused, unique_email, wait_until, wait_until_ready,
};

#[test]
fn tls_with_a_client_certificate_serves() {
    let certificates = Certificates::shared();
    let port = free_port();
    let _redis = certificates.start_redis(port);
    assert_serves(&TestApp::start_on(&format!("rediss://localhost:{port}"), &[]));
    assert_serves(&TestApp::start_on(&format!("rediss://127.0.0.1:{port}"), &[("REDIS_WAIT_REPLICAS", "0")]));
}

#[test]
fn tls_under_a_sentinel_serves() {
    let certificates = Certificates::shared();
    let [primary, sentinel] = [free_port(), free_port()];
    let _redis = certificates.start_redis_at(free_port(), primary, &["--tls-replication", "yes"]);
    let _sentinel = certificates.start_sentinel(sentinel, primary);
    let url = format!("rediss+sentinel://localhost:{sentinel}/{SERVICE}");
    let app = TestApp::start_on(&url, &[]);
    wait_until("the server is ready", || app.send("GET", "/readyz", &[], None).status == 200);
    wait_until("every worker is ready", || {
        every_worker(app.port(), &raw::request("GET", "/readyz", &[], None), |answer| answer.status == 200)
    });
    assert_serves(&app);
}

#[test]
fn tls_in_a_cluster_serves() {
    let certificates = Certificates::shared();
    let (port, tls_port) = (free_port_of_a_node(), free_port_of_a_node());
    let redis = certificates.start_redis_at(port, tls_port, &["--cluster-enabled", "yes", "--tls-cluster", "yes"]);
    redis.take_all_slots();
    assert_serves(&TestApp::start_on(&format!("rediss+cluster://127.0.0.1:{tls_port}"), &[]));
}

#[test]
fn tls_with_a_wrong_certificate_is_refused_without_a_fallback_to_plain_text() {
    let (right, wrong) = (Certificates::shared(), Certificates::new());
    let port = free_port();
    let redis = right.start_redis(port);
    let (authority, certificate, key) = (right.path("ca.pem"), wrong.path("client.pem"), wrong.path("client.key"));
    let wrong_authority = wrong.path("ca.pem");
    let wrong_client = [
        ("REDIS_TLS_CA_FILE", authority.as_str()),
        ("REDIS_TLS_CERT_FILE", certificate.as_str()),
        ("REDIS_TLS_KEY_FILE", key.as_str()),
    ];
    let untrusted = [("REDIS_TLS_CA_FILE", wrong_authority.as_str())];
    let tls = format!("rediss://localhost:{port}");
    // A TLS connection to the port without TLS must fail, too.
    let plain = redis.url().replace("redis://", "rediss://");
    for (url, settings) in [(&tls, &wrong_client[..]), (&tls, &untrusted[..]), (&plain, &[][..])] {
        let app = TestApp::start_on(url, settings);
        let answer = app.send("GET", "/readyz", &[], None);
        assert_away(&answer);
        assert_away(&app.sign_up(&unique_email(), PASSWORD));
        assert!(!app.output().contains("panicked"), "{}", app.output());
    }
    let keys: u64 = redis.command(&["DBSIZE"]);
    assert_eq!(keys, 0);
}

#[test]
fn tls_settings_without_tls_stop_the_start() {
    let certificates = Certificates::shared();
    let authority = certificates.path("ca.pem");
    let said = refused(&[("REDIS_URL", "redis://127.0.0.1"), ("REDIS_TLS_CA_FILE", &authority)]);
    assert_says(&said, &["REDIS_TLS_CA_FILE", "rediss://"]);
    let said = refused(&[("REDIS_URL", "rediss://127.0.0.1"), ("REDIS_TLS_CERT_FILE", &authority)]);
    assert_says(&said, &["REDIS_TLS_KEY_FILE", "together"]);
    let said = refused(&[("REDIS_URL", "rediss://127.0.0.1"), ("REDIS_TLS_CA_FILE", "/nowhere")]);
    assert_says(&said, &["REDIS_TLS_CA_FILE", "cannot be read"]);
}

#[test]
fn tls_redis_killed_or_frozen_is_503_until_it_is_back() {
    let _turn = alone();
    let port = free_port();
    let certificates = Certificates::shared();
    let mut redis = certificates.start_redis(port);
    let () = redis.command(&["CONFIG", "SET", "appendonly", "yes"]);
    let app = TestApp::start_on(&format!("rediss://localhost:{port}"), &[]);
    let session = app.new_session();
    let assert_away_now = || {
        wait_until("the server notices the outage", || app.current_user(&session.access_token).status == 503);
        for _ in 0..5 {
            assert_away(&in_time("GET /user", || app.current_user(&session.access_token)));
            assert_away(&in_time("POST /signup", || app.sign_up(&unique_email(), PASSWORD)));
        }
    };
    redis.freeze();
    assert_away_now();
    redis.thaw();
    wait_until_ready(&app, &session);
    redis.kill();
    assert_away_now();
    redis.spawn(&["--appendonly", "yes"]);
    wait_until_ready(&app, &session);
    assert_serves(&app);
    assert!(!app.output().contains("panicked"), "{}", app.output());
}
