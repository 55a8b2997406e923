//! The HTTP face: every route on one screen. axum, hyper and tower live in this folder only.

mod accounts;
mod caller;
mod envelope;
mod error;
mod extract;
mod health;
mod serve;
mod sessions;
mod state;
mod tokens;

use axum::{
    Router,
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::from_fn_with_state,
    response::Response,
    routing::{MethodRouter, delete, get, post, put},
};
use serde::Serialize;

use self::error::Problem;
pub use self::{
    serve::{Leave, Server, Worker},
    state::{App, AppState, Phase},
};
use crate::{auth::Authorized, config::TokenRemoval};

/// All routes, with what every answer has.
pub fn router(app: AppState) -> Router {
    let removal = match app.token_removal {
        TokenRemoval::Open | TokenRemoval::Owner => only("DELETE", delete(tokens::remove_access_token)),
        TokenRemoval::Off => only("", MethodRouter::new()),
    };
    Router::new()
        .route("/signup", only("POST", post(accounts::sign_up)))
        .route("/authenticate", only("GET, POST", get(tokens::authenticate).post(tokens::authenticate)))
        .route("/user", only("GET, DELETE", get(accounts::current_user).delete(accounts::delete_user)))
        .route("/user/password", only("PUT", put(accounts::change_password)))
        .route(
            "/refresh-access-token",
            only("GET, POST", get(tokens::refresh_access_token).post(tokens::refresh_access_token)),
        )
        .route("/access-token", removal)
        .route("/sessions", only("GET, DELETE", get(sessions::sessions).delete(sessions::end_sessions)))
        .route("/sessions/{id}", only("DELETE", delete(sessions::end_session)))
        .route("/signout", only("POST", post(sessions::sign_out)))
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

/// A body of a protected route; an access token that was minted on the way goes with it.
#[derive(Serialize)]
struct Renewed<'a, B> {
    #[serde(flatten)]
    body: &'a B,
    access_token: &'a str,
}

const ACCESS_TOKEN: HeaderName = HeaderName::from_static("access-token");

/// A success of a protected route.
fn json_for(by: &Authorized, body: &impl Serialize) -> Response {
    let Some(access_token) = &by.renewed else { return json(StatusCode::OK, body) };
    let mut response = json(StatusCode::OK, &Renewed { body, access_token });
    // A token is base64url and dots, so that it always is a header value.
    if let Ok(value) = HeaderValue::from_str(access_token) {
        response.headers_mut().insert(ACCESS_TOKEN, value);
    }
    response
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
