//! Routes for operators and load balancers.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;

use crate::http::{
    extract::query::NoQuery,
    problem::advice,
    problem_response::Problem,
    response::{done, json},
    state::AppState,
};

/// The answer while only writes fail: the sentence and the code that a write gets.
#[derive(Serialize)]
struct ReadsOnly {
    result: &'static str,
    error: &'static str,
    code: &'static str,
}

/// Says that the process runs. Does not check the store.
pub(crate) async fn livez(_: NoQuery) -> Response {
    done("Alive")
}

/// Says whether this replica should get requests: the store serves at least reads, all hashing threads run, and no
/// shutdown has begun. While only writes fail, the status stays 200, because a load balancer that removed all replicas
/// would make the token checks fail too.
pub(crate) async fn readyz(State(app): State<AppState>, _: NoQuery) -> Result<Response, Problem> {
    if app.is_leaving() {
        return Err(Problem::SHUTTING_DOWN);
    }
    Ok(match app.read(|| app.auth.ready()).await? {
        None => done("Ready"),
        Some(outage) => {
            let (code, error) = (outage.code(), advice(outage));
            json(StatusCode::OK, &ReadsOnly { result: "Ready for reads only", error, code })
        }
    })
}
