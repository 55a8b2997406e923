//! Routes for operators and load balancers.

use axum::{extract::State, http::StatusCode, response::Response};

use super::{AppState, Done, Phase, error::Problem, json};

/// Says that the process runs; asks nobody.
pub(super) async fn livez() -> Response {
    json(StatusCode::OK, &Done { result: "Alive" })
}

/// Says whether requests should be sent here: the store takes writes, and no shutdown has begun.
pub(super) async fn readyz(State(app): State<AppState>) -> Result<Response, Problem> {
    if *app.phase.borrow() != Phase::Serving {
        return Err(Problem::SHUTTING_DOWN);
    }
    app.in_time(app.auth.ready()).await?;
    Ok(json(StatusCode::OK, &Done { result: "Ready" }))
}
