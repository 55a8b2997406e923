//! The metrics of the process, compared with the values in `/proc`.

use std::fs;

use crate::support::{METRICS, Store, TestApp, unix_seconds};

#[test]
fn the_process_is_as_the_system_says() {
    let started = unix_seconds() as f64;
    let app = TestApp::start_with(Store::Embedded, &[METRICS]);
    let metric = |name: &str| app.metric(name).unwrap();
    let near = |name: &str, expected: f64, most: f64| {
        let value = metric(name);
        assert!((value - expected).abs() <= most, "{name} {value} instead of {expected}");
    };
    // The start of the machine, from which the system counts, is known only to the second.
    near("process_start_time_seconds", started, 3.0);
    near("process_resident_memory_bytes", (app.memory("VmRSS") << 20) as f64, f64::from(8 << 20));
    near("process_virtual_memory_bytes", (app.memory("VmSize") << 20) as f64, f64::from(80 << 20));
    let entries = |name: &str| fs::read_dir(format!("/proc/{}/{name}", app.pid())).unwrap().count() as f64;
    near("process_threads", entries("task"), 0.0);
    // The connection of the scrape is one more descriptor.
    near("process_open_fds", entries("fd") + 1.0, 1.0);
    let limits = fs::read_to_string(format!("/proc/{}/limits", app.pid())).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    near("process_max_fds", files.split_whitespace().next().unwrap().parse().unwrap(), 0.0);
    let before = metric("process_cpu_seconds_total");
    for _ in 0..3 {
        app.new_account();
    }
    assert!(before > 0.0 && metric("process_cpu_seconds_total") >= before);
}
