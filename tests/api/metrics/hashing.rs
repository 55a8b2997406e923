//! The metrics of the hashing threads. `passwords/floods.rs` asserts those of a flood.

use std::thread;

use crate::support::{METRICS, Store, TestApp, wait_until};

const REASONS: [&str; 5] = ["late", "queue_full", "replaced", "expired", "unavailable"];

#[test]
fn each_password_waits_and_is_hashed_and_the_queue_is_empty_afterwards() {
    let app = TestApp::start_with(Store::Embedded, &[METRICS]);
    let metric = |name: &str| app.metric(name).unwrap();
    assert_eq!(metric("hashing_threads"), thread::available_parallelism().unwrap().get() as f64);
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| app.new_account());
        }
    });
    let idle = || ["hashing_queue_length", "hashing_threads_busy"].map(metric) == [0.0; 2];
    wait_until("the queue is empty", idle);
    assert_eq!(["hashing_wait_seconds_count", "hashing_duration_seconds_count"].map(metric), [10.0; 2]);
    assert!(metric("hashing_wait_seconds_sum") > 0.0 && metric("hashing_duration_seconds_sum") > 0.0);
    for reason in REASONS {
        assert_eq!(metric(&format!("hashing_refused_total{{reason=\"{reason}\"}}")), 0.0, "{reason}");
    }
}
