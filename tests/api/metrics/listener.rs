//! The listener of the metrics.

use std::net::TcpListener;

use crate::support::{
    Answer, Connection, METRICS, Store, TestApp, command, free_port, metric_at, raw, refused, run_to_end, wait_until,
};

fn ask(app: &TestApp, method: &str, path: &str) -> Answer {
    raw::exchange(app.metrics_port(), &raw::request(method, path, &[], None)).unwrap()
}

#[test]
fn only_get_and_head_of_metrics_are_there() {
    let app = TestApp::start_with(Store::Embedded, &[METRICS]);
    let head = ask(&app, "HEAD", "/metrics");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.header("content-length").unwrap().parse::<usize>().unwrap() > 1_000);
    for path in ["/", "/metrics/", "/metrics/x", "/livez", "/user", "/debug/pprof"] {
        let answer = ask(&app, "GET", path);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (404, Some("route_not_found")), "{path}");
    }
    let post = ask(&app, "POST", "/metrics");
    assert_eq!(
        (post.status, post.header("allow"), post.json()["code"].as_str()),
        (405, Some("GET, HEAD"), Some("method_not_allowed"))
    );
    assert_eq!(app.send("GET", "/metrics", &[], None).status, 404, "clients see no metrics");
}

#[test]
fn without_the_setting_nobody_listens() {
    let app = TestApp::start_with(Store::Embedded, &[]);
    app.send("GET", "/livez", &[], None);
    assert!(!app.output().contains("/metrics"), "{}", app.output());
    // Compose files pass on an empty value for a setting that is not set.
    let app = TestApp::start_with(Store::Embedded, &[("METRICS_LISTEN", "")]);
    assert!(!app.output().contains("/metrics"), "{}", app.output());
}

#[test]
fn ipv6_and_a_fixed_port_work() {
    let port = free_port();
    let app = TestApp::start_with(Store::Embedded, &[("METRICS_LISTEN", &format!("[::1]:{port}"))]);
    assert!(app.output().contains(&format!("metrics on http://[::1]:{port}/metrics")), "{}", app.output());
    let mut connection = Connection::open_at(("::1", port)).unwrap();
    connection.write(&raw::request("GET", "/metrics", &[], None)).unwrap();
    assert_eq!(connection.read().unwrap().status, 200);
}

#[test]
fn a_wrong_setting_and_an_address_in_use_stop_the_start() {
    for wrong in ["9464", "127.0.0.1", "::1:9464", "127.0.0.1:65536", "http://127.0.0.1:9464", "[::g]:1"] {
        let text = refused(&[("METRICS_LISTEN", wrong)]);
        assert!(text.contains("METRICS_LISTEN must be host:port, such as 127.0.0.1:9464 or [::1]:9464\n"), "{text}");
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let settings = [("METRICS_LISTEN", address.as_str()), ("PORT", "0")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let output = run_to_end(command(directory.path(), &settings.into()));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    let port = taken.local_addr().unwrap().port();
    assert!(text.contains(&format!("cannot listen on 127.0.0.1 port {port}: ")), "{text}");
    assert!(text.ends_with("; set another METRICS_LISTEN\n"), "{text}");
}

#[test]
fn slow_clients_do_not_keep_prometheus_out() {
    let app = TestApp::start_with(Store::Embedded, &[METRICS]);
    let port = app.metrics_port();
    let mut slow: Vec<_> = (0..40)
        .map(|_| {
            let mut connection = Connection::open(port);
            connection.write(b"GET /metrics HTTP/1.1\r\nHost: ").unwrap();
            connection
        })
        .collect();
    // Meanwhile, the server answers clients.
    assert_eq!(app.send("GET", "/livez", &[], None).status, 200);
    let mut scrape = Connection::open(port);
    scrape.write(&raw::request("GET", "/metrics", &[], None)).unwrap();
    assert_eq!(scrape.read().unwrap().status, 200);
    // The server has closed the oldest connections, and not waited for the others.
    assert!(slow[0].is_closed());
    let last = slow.last_mut().unwrap();
    last.write(b"x\r\n\r\n").unwrap();
    assert_eq!(last.read().unwrap().status, 200);
}

#[test]
fn a_large_body_is_not_read() {
    let app = TestApp::start_with(Store::Embedded, &[METRICS]);
    let mut connection = Connection::open(app.metrics_port());
    connection.write(&raw::request("GET", "/metrics", &[("Content-Length", "1000000000")], None)).unwrap();
    assert_eq!(connection.read().unwrap().status, 200);
    assert!(connection.is_closed());
    let mut connection = Connection::open(app.metrics_port());
    let _ = connection.write(&raw::request("GET", "/metrics", &[("x", &"x".repeat(100_000))], None));
    assert!(connection.read().is_none_or(|answer| answer.status == 431));
}

#[test]
fn the_metrics_stay_until_the_end() {
    let mut app = TestApp::start_with(Store::Embedded, &[METRICS, ("SHUTDOWN_DELAY_SECONDS", "30")]);
    let port = app.metrics_port();
    // The server cannot stop until the test ends the request in flight.
    let mut request = Connection::open(app.port());
    let headers = [("Content-Type", "application/json"), ("Content-Length", "100")];
    request.write(&raw::request("POST", "/signup", &headers, None)).unwrap();
    app.terminate();
    let code = "http_requests_total{method=\"GET\",route=\"/readyz\",status=\"503\",code=\"shutting_down\"}";
    wait_until("the metrics show the shutdown", || {
        app.send("GET", "/readyz", &[], None);
        metric_at(port, code).is_some_and(|count| count > 0.0)
    });
    app.kill();
}
