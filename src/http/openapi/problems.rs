//! Lists of errors that many operations share.

use auth_service_records::error::{Error, FieldError, Outage};

use crate::http::{extract::field::FieldProblem, problem_response::Problem};

/// The outages in which the store serves no request.
const OUTAGES: [Outage; 9] = [
    Outage::Unreachable,
    Outage::Timeout,
    Outage::Loading,
    Outage::ReadOnly,
    Outage::DiskFailed,
    Outage::Refused,
    Outage::NotPermitted,
    Outage::Busy,
    Outage::ClusterDown,
];
/// The outages in which the store makes no changes.
const OUTAGES_OF_WRITES: [Outage; 2] = [Outage::OutOfMemory, Outage::NotReplicated];
const SECONDS_TO_WAIT: u64 = 30;

/// The errors of every request, whatever its path is.
pub(super) fn of_every_request() -> Vec<Problem> {
    let method = Problem::method_not_allowed("GET, POST");
    vec![Problem::HOST, Problem::TOO_MANY_HEADERS, Problem::TRANSFER_CODING, method]
}

/// The errors of a request to any path except `/forward-auth`.
pub(super) fn general() -> Vec<Problem> {
    [of_every_request(), vec![Problem::ENCODING, Problem::QUERY]].concat()
}

/// The errors of a request with a JSON body. `wrong` has the fields of the example.
pub(super) fn of_json<const N: usize>(wrong: [(&'static str, FieldProblem); N]) -> Vec<Problem> {
    [of_body(), vec![Problem::NOT_JSON, Problem::BODY_NOT_JSON], wrong_fields(wrong)].concat()
}

/// The error that lists all wrong fields. `wrong` has the fields of the example.
pub(super) fn wrong_fields<const N: usize>(wrong: [(&'static str, FieldProblem); N]) -> Vec<Problem> {
    let fields = wrong.into_iter().map(|(field, message)| FieldError { field, message }).collect();
    vec![Problem::invalid(fields)]
}

/// The errors of a request with a form.
pub(super) fn of_form() -> Vec<Problem> {
    [of_body(), vec![Problem::NOT_FORM, Problem::FORM]].concat()
}

/// The errors of a request with a body.
fn of_body() -> Vec<Problem> {
    vec![Problem::BODY_BROKEN, Problem::BODY_TOO_LARGE, Problem::BODY_TOO_SLOW]
}

/// The errors of a request that reads from the store.
pub(super) fn of_reads() -> Vec<Problem> {
    let mut problems = vec![Problem::INTERNAL, Problem::DEADLINE];
    let all = OUTAGES.into_iter().chain([Outage::NewerVersion]);
    problems.extend(all.map(|outage| Problem::from(Error::Unavailable(outage))));
    problems
}

/// The errors of a request that changes the store.
pub(super) fn of_writes() -> Vec<Problem> {
    let mut problems = of_reads();
    problems.extend([Problem::OVERLOADED, Problem::NOT_REPLICATED]);
    problems.extend(OUTAGES_OF_WRITES.map(|outage| Problem::from(Error::Unavailable(outage))));
    problems
}

/// The errors of a request whose access token is verified, and renewed if it has expired.
pub(super) fn of_protected() -> Vec<Problem> {
    let mut problems = of_writes();
    problems.extend([Problem::NO_SIGNING_KEY, Problem::TWO_TOKENS, Problem::TOKEN_MISSING]);
    problems.extend([Problem::TOKEN_INVALID, Problem::TOKEN_EXPIRED, Problem::TOKEN_REUSED]);
    problems
}

/// The errors of a request from a resource server.
pub(super) fn of_resource_servers() -> [Problem; 2] {
    [Problem::INVALID_CLIENT, Problem::TWO_CREDENTIALS]
}

/// The error of a caller who has to wait.
pub(super) fn throttled() -> Problem {
    Error::Throttled(SECONDS_TO_WAIT).into()
}
