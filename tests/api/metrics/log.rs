//! The metrics of the log. The tests of `http/audit_log.rs` assert more of them.

use crate::support::{free_port, metric_at, new_session, raw, start_with_own_reader, wait_until};

/// The reader of the log closes the pipe, as a log collector does when it dies.
#[test]
fn a_line_of_the_trail_that_standard_output_does_not_take_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let listen = free_port();
    let settings = [("METRICS_LISTEN", &*format!("127.0.0.1:{listen}"))];
    let (_server, log, port) = start_with_own_reader(directory.path(), &settings);
    let lost = || metric_at(listen, "audit_lines_lost_total").unwrap();
    assert_eq!(lost(), 0.0);
    drop(log);
    assert_eq!(raw::exchange(port, &raw::request("GET", "/user", &[], None)).unwrap().status, 401);
    new_session(port);
    wait_until("the lines of the sign-up and of the sign-in are lost", || lost() == 2.0);
    assert_eq!(metric_at(listen, "log_lines_dropped_total"), Some(0.0));
}
