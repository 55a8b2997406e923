//! The HTTP face: every route on one screen. axum, hyper and tower live in this folder only.

mod accounts;
mod envelope;
mod error;
mod extract;
mod health;
mod serve;
mod state;
mod tokens;

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, StatusCode, header},
    middleware::from_fn_with_state,
    response::Response,
    routing::{MethodRouter, delete, get, post},
};
use serde::Serialize;

use self::error::Problem;
pub use self::{
    serve::{Leave, Server, Worker},
    state::{App, AppState, Phase},
};
use crate::config::TokenRemoval;

/// All routes, with what every answer has.
pub fn router(app: AppState) -> Router {
    let removal = match app.token_removal {
        TokenRemoval::Open | TokenRemoval::Owner => only("DELETE", delete(tokens::remove_access_token)),
        TokenRemoval::Off => only("", MethodRouter::new()),
    };
    Router::new()
        .route("/signup", only("POST", post(accounts::sign_up)))
        .route("/authenticate", only("GET, POST", get(tokens::authenticate).post(tokens::authenticate)))
        .route("/user", only("GET", get(accounts::current_user)))
        .route(
            "/refresh-access-token",
            only("GET, POST", get(tokens::refresh_access_token).post(tokens::refresh_access_token)),
        )
        .route("/access-token", removal)
        .route("/livez", only("GET", get(health::livez)))
        .route("/readyz", only("GET", get(health::readyz)))
        .fallback(|| async { Problem::NO_SUCH_ROUTE })
        .layer(from_fn_with_state(app.clone(), envelope::wrap))
        .with_state(app)
}

/// Answers all other methods with 405; HEAD too, which axum would otherwise give to the GET handler.
fn only(allow: &'static str, methods: MethodRouter<AppState>) -> MethodRouter<AppState> {
    let refuse = move || async move { Problem::method_not_allowed(allow) };
    methods.head(refuse).fallback(refuse)
}

/// A success that has nothing more to say.
#[derive(Serialize)]
struct Done {
    result: &'static str,
}

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Our own structs of text and numbers always serialize.
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}
