//! What a verifier costs the server: two polls a second, whatever the load, and nothing after its end.

use std::time::{Duration, Instant};

use tokio::runtime;

use super::{
    filter::Filter,
    shop::{Shop, server, verifier},
};
use crate::support::{Store::Embedded, wait_longer, wait_until};

#[test]
fn a_check_costs_the_server_no_request() {
    let app = server(Embedded, &[]);
    let filter = Filter::start(app.port());
    let shop = Shop::open(verifier(filter.port()));
    let tokens: Vec<_> = (0..10).map(|_| app.new_session().access_token).collect();
    wait_until("the feed is fresh", || shop.verifier.is_fresh());
    // A busy machine can make polls fail and the feed stale, and then checks cost requests. So one good second is enough.
    wait_longer(30, "a second of checks costs only the polls", || {
        let (start, before) = (Instant::now(), filter.count(""));
        let mut checks = 0;
        while start.elapsed() < Duration::from_secs(1) {
            for token in &tokens {
                assert_eq!(shop.orders(token).status, 200);
                checks += 1;
            }
        }
        let asked = filter.count("") - before;
        eprintln!("{checks} checks in a second, {asked} requests to the server");
        checks > 100 && asked <= 4
    });
}

#[test]
fn polls_end_with_the_last_clone_of_the_verifier() {
    let app = server(Embedded, &[]);
    let filter = Filter::start(app.port());
    // The runtime goes on, so only the verifier can end the polls.
    let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let first = runtime.block_on(verifier(filter.port()).start()).unwrap();
    let (clone, layer) = (first.clone(), first.layer());
    for last in [Box::new(first) as Box<dyn Send>, Box::new(clone), Box::new(layer)] {
        let before = filter.count("GET /revocations");
        wait_longer(20, "the verifier polls", || filter.count("GET /revocations") > before + 1);
        drop(last);
    }
    wait_until("the polls have ended", || {
        let before = filter.count("");
        std::thread::sleep(Duration::from_millis(1500));
        filter.count("") == before
    });
}

#[test]
fn an_introspection_belongs_to_the_trace_of_the_request() {
    let app = server(Embedded, &[]);
    let filter = Filter::start(app.port());
    let shop = Shop::open(verifier(filter.port()));
    let token = format!("Bearer {}", app.new_session().access_token);
    filter.block("GET /revocations");
    wait_until("the feed is stale", || !shop.verifier.is_fresh());
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let trace = format!("00-{trace_id}-00f067aa0ba902b7-01");
    let long = "x".repeat(10_000);
    for headers in [
        vec![("traceparent", &*trace), ("tracestate", "vendor=value")],
        vec![("traceparent", &*trace), ("tracestate", &*long)],
        vec![("traceparent", &*long)],
        vec![],
    ] {
        let headers = [&[("Authorization", &*token)], &headers[..]].concat();
        assert_eq!(shop.get("/orders", &headers).status, 200);
    }
    let logged = || app.request_log().into_iter().filter(|line| line["route"] == "/introspect").collect::<Vec<_>>();
    wait_until("each introspection is logged", || logged().len() == 4);
    let traces: Vec<_> = logged().iter().map(|line| line["trace_id"].as_str().map(str::to_owned)).collect();
    assert_eq!(traces, [Some(trace_id.to_owned()), Some(trace_id.to_owned()), None, None]);
}
