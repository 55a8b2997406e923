//! Routes for operators and load balancers.

use axum::{extract::State, response::Response};

use crate::http::{extract::query::NoQuery, problem_response::Problem, response::done, state::AppState};

/// Says that the process runs. Does not check the store.
pub(crate) async fn livez(_: NoQuery) -> Response {
    done("Alive")
}

/// Says whether this replica should get requests: the store accepts writes, all hashing threads run, and no shutdown
/// has begun.
pub(crate) async fn readyz(State(app): State<AppState>, _: NoQuery) -> Result<Response, Problem> {
    if app.is_leaving() {
        return Err(Problem::SHUTTING_DOWN);
    }
    app.read(|| app.auth.ready()).await?;
    Ok(done("Ready"))
}
