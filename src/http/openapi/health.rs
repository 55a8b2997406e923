//! Operations for operators and load balancers.

use serde_json::json;

use super::{
    operation::Operation,
    problems::{general, of_reads},
    success::Success,
};
use crate::http::problem_response::Problem;

pub(super) const TAG: &str = "Health";

pub(super) fn operations() -> Vec<Operation> {
    [livez(), readyz()].into_iter().flat_map(|get| [get.twin("head"), get]).collect()
}

fn livez() -> Operation {
    Operation::new(TAG, "get", "/livez", "livez")
        .described("Does the process run?", "Does not check the store.")
        .answers(Success::done("The process runs.", "Alive"))
        .fails(general())
}

fn readyz() -> Operation {
    let ready = Success::json("This replica should get requests.", "Readiness", json!({"result": "Ready"}));
    Operation::new(TAG, "get", "/readyz", "readyz")
        .described(
            "Should this replica get requests?",
            "While only writes fail, the status stays 200, so that the load balancer still sends token checks. The \
             body then has the error code of writes.",
        )
        .answers(ready)
        .fails(general())
        .fails(of_reads())
        .fails([Problem::SHUTTING_DOWN, Problem::HASHING_UNAVAILABLE])
}
