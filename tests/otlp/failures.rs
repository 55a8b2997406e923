//! Errors, the end of the server, and a collector that is down or silent.

use std::time::{Duration, Instant};

use super::{
    collector::{Collector, start},
    support::{TestApp, assert_says, free_port, refused, wait_until},
};

#[test]
fn an_error_of_the_server_is_an_error_of_the_span() {
    let collector = Collector::start();
    let mut app = start(&collector.url(), &[("SHUTDOWN_DELAY_SECONDS", "60")]);
    app.terminate();
    wait_until("the server is not ready", || app.send("GET", "/readyz", &[], None).status == 503);
    let answer = app.send("GET", "/readyz", &[], None);
    let id = answer.header("traceresponse").unwrap().split('-').nth(2).unwrap();
    let span = collector.span(id);
    let attribute = |name: &str| span.attributes[name].clone();
    assert_eq!((span.status, &*attribute("error.type")), (2, "shutting_down"));
    assert_eq!((&*span.name, &*attribute("http.response.status_code")), ("GET /readyz", "503"));
    app.kill();
}

#[test]
fn the_last_spans_are_sent_when_the_server_stops() {
    let collector = Collector::start();
    let quiet = [("OTEL_BSP_SCHEDULE_DELAY", "600000"), ("SHUTDOWN_DELAY_SECONDS", "0")];
    let mut app = start(&collector.url(), &quiet);
    for _ in 0..20 {
        assert_eq!(app.send("GET", "/user", &[], None).status, 401);
    }
    assert_eq!(collector.spans().len(), 0);
    app.terminate();
    assert!(app.wait().success());
    assert_eq!(collector.spans().len(), 20);
}

/// The server answers as fast as without a collector, and stops in time.
fn assert_unharmed(mut app: TestApp) {
    let start = Instant::now();
    for _ in 0..3_000 {
        assert_eq!(app.send("GET", "/user", &[], None).status, 401);
    }
    // A request that waited for the collector would take 10 s.
    assert!(start.elapsed() < Duration::from_secs(60), "3,000 requests took {:?}", start.elapsed());
    wait_until("the loss of spans is logged", || app.output().contains("queue full"));
    let stop = Instant::now();
    app.terminate();
    assert!(app.wait().success());
    // Two seconds for the last spans, and a reserve for a busy machine.
    assert!(stop.elapsed() < Duration::from_secs(8), "the shutdown took {:?}", stop.elapsed());
}

const SMALL: [(&str, &str); 3] =
    [("OTEL_BSP_MAX_QUEUE_SIZE", "20"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "20"), ("SHUTDOWN_DELAY_SECONDS", "0")];

#[test]
fn a_collector_that_is_down_harms_no_request() {
    assert_unharmed(start(&format!("http://127.0.0.1:{}", free_port()), &SMALL));
}

#[test]
fn a_collector_that_never_answers_harms_no_request() {
    let collector = Collector::start_silent();
    assert_unharmed(start(&collector.url(), &SMALL));
    // The server has sent spans, although the collector never answers.
    assert!(!collector.spans().is_empty());
}

#[test]
fn a_wrong_endpoint_is_refused_at_the_start() {
    let said = refused(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url")]);
    assert_says(&said, &["traces"]);
}
