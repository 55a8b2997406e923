//! What the collector gets.

use serde_json::{Value, json};

use super::{
    collector::{Collector, start},
    support::{Answer, TestApp, unique_email, wait_until},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// The trace id, the span id and the flags in `traceresponse`.
fn ids(answer: &Answer) -> (String, String, String) {
    let header = answer.header("traceresponse").unwrap_or_else(|| panic!("no traceresponse: {answer:?}"));
    let parts: Vec<_> = header.split('-').map(str::to_owned).collect();
    assert_eq!((parts.len(), &*parts[0]), (4, "00"), "{header}");
    (parts[1].clone(), parts[2].clone(), parts[3].clone())
}

/// The request's lines in the log and in the audit trail, `count` of them.
fn lines_of(app: &TestApp, answer: &Answer, count: usize) -> Vec<Value> {
    let id = answer.header("x-request-id").unwrap();
    let lines = || app.log().into_iter().filter(|line| line["request_id"] == id).collect::<Vec<_>>();
    wait_until("the request is logged", || lines().len() == count);
    lines()
}

fn texts(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_request_is_a_span_in_the_trace_of_its_caller() {
    let collector = Collector::start();
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20planted");
    let app = start(&collector.url(), &[headers]);
    let email = unique_email();
    let body = json!({"email": email, "password": "planted password"}).to_string();
    let caller = format!("00-{TRACE}-{PARENT}-01");
    let traced = [("traceparent", &*caller), ("tracestate", "planted=state"), ("X-Request-Id", "planted-id")];

    let answer = app.send("POST", "/signup", &traced, Some(&body));
    assert_eq!(answer.status, 201, "{answer:?}");
    let (trace_id, span_id, flags) = ids(&answer);
    assert_eq!((&*trace_id, &*flags), (TRACE, "01"));
    assert_ne!(span_id, PARENT);
    for line in lines_of(&app, &answer, 2) {
        assert_eq!((&line["trace_id"], &line["span_id"]), (&json!(TRACE), &json!(span_id)), "{line}");
    }
    let span = collector.span(&span_id);
    assert_eq!((&*span.trace_id, &*span.parent, &*span.name, span.kind), (TRACE, PARENT, "POST /signup", 2));
    let expected = [("http.request.method", "POST"), ("http.response.status_code", "201"), ("http.route", "/signup")];
    assert_eq!(span.attributes.into_iter().collect::<Vec<_>>(), texts(&expected));
    assert!(span.status == 0 && (1_000..60_000_000_000).contains(&span.duration), "{} ns", span.duration);

    let head = &collector.heads()[0];
    assert!(head.starts_with("post /v1/traces ") && head.contains("content-type: application/x-protobuf"), "{head}");
    assert!(head.contains("authorization: bearer planted"), "{head}");
    let resource = collector.resource();
    assert_eq!(
        (&*resource["service.name"], &*resource["service.version"]),
        ("auth-service", env!("CARGO_PKG_VERSION"))
    );

    // A span has no text of a client.
    for path in ["/planted/path", "/sessions/planted", "/user?planted=query"] {
        let answer = app.send("BREW", path, &traced, None);
        collector.span(&ids(&answer).1);
    }
    let text = collector.text();
    assert!(!text.contains("planted") && !text.contains(&email) && !text.contains("BREW"), "{text}");
}

#[test]
fn a_request_without_a_route_or_with_an_unknown_method_has_its_span() {
    let collector = Collector::start();
    let app =
        start(&collector.url(), &[("OTEL_SERVICE_NAME", "tokens"), ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,a=b")]);
    for (method, path, name, attributes) in [
        ("GET", "/nothing", "GET", [("http.request.method", "GET"), ("http.response.status_code", "404")].to_vec()),
        (
            "BREW",
            "/sessions/7",
            "HTTP /sessions/{id}",
            [("http.request.method", "_OTHER"), ("http.response.status_code", "405"), ("http.route", "/sessions/{id}")]
                .to_vec(),
        ),
    ] {
        let (trace_id, span_id, flags) = ids(&app.send(method, path, &[], None));
        let span = collector.span(&span_id);
        // The server has started this trace.
        assert_eq!((span.trace_id, &*span.parent, &*flags, &*span.name), (trace_id, "", "01", name));
        assert_eq!(span.attributes.into_iter().collect::<Vec<_>>(), texts(&attributes));
        assert_eq!(span.status, 0);
    }
    let resource = collector.resource();
    assert_eq!((&*resource["service.name"], &*resource["a"]), ("tokens", "b"));
}

#[test]
fn the_caller_and_the_sampler_decide_what_is_recorded() {
    let collector = Collector::start();
    let app = start(&collector.url(), &[]);
    let unsampled = format!("00-{TRACE}-{PARENT}-00");
    let answer = app.send("GET", "/user", &[("traceparent", &unsampled)], None);
    let (trace_id, span_id, flags) = ids(&answer);
    assert_eq!((&*trace_id, &*flags), (TRACE, "00"));
    assert_eq!(lines_of(&app, &answer, 1)[0]["span_id"], json!(span_id));
    // Spans arrive in order, so a span of the first request would arrive before this one.
    collector.span(&ids(&app.send("GET", "/user", &[], None)).1);
    assert_eq!(collector.spans().len(), 1, "{:?}", collector.spans());

    let app = start(&collector.url(), &[("OTEL_TRACES_SAMPLER", "parentbased_always_off")]);
    assert_eq!(ids(&app.send("GET", "/user", &[], None)).2, "00");
    let sampled = format!("00-{TRACE}-{PARENT}-01");
    let (_, span_id, flags) = ids(&app.send("GET", "/user", &[("traceparent", &sampled)], None));
    assert_eq!((collector.span(&span_id).parent, &*flags), (PARENT.to_owned(), "01"));
    assert_eq!(collector.spans().len(), 2, "{:?}", collector.spans());
}

#[test]
fn without_a_collector_there_is_no_span() {
    let collector = Collector::start();
    for off in [("OTEL_EXPORTER_OTLP_ENDPOINT", ""), ("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
        let app = start(&collector.url(), &[off]);
        assert_eq!(app.send("GET", "/user", &[], None).header("traceresponse"), None);
        assert!(!app.output().contains("span"), "{}", app.output());
    }
    assert_eq!(collector.heads().len(), 0);
}
