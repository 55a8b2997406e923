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

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
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

/// Answers requests: the routes, and in `envelope.rs` what every answer has. A clone shares all of it.
#[derive(Clone)]
pub struct Service {
    app: AppState,
    router: Router,
    paths: Arc<[&'static str]>,
}

const USER: &str = "/user";
const REFRESH: &str = "/refresh-access-token";
/// The one path that names something.
const A_SESSION: &str = "/sessions/{id}";

impl Service {
    /// All routes.
    #[must_use]
    pub fn new(app: AppState) -> Self {
        let removal = match app.token_removal {
            TokenRemoval::Open | TokenRemoval::Owner => only("DELETE", delete(tokens::remove_access_token)),
            TokenRemoval::Off => only("", MethodRouter::new()),
        };
        let routes = [
            ("/signup", only("POST", post(accounts::sign_up))),
            ("/authenticate", only("GET, POST", get(tokens::authenticate).post(tokens::authenticate))),
            // Reading it is not the router's, see `Service::run`; nor is a refresh.
            (USER, only("GET, DELETE", delete(accounts::delete_user))),
            ("/user/password", only("PUT", put(accounts::change_password))),
            (REFRESH, only("GET, POST", MethodRouter::new())),
            ("/access-token", removal),
            ("/sessions", only("GET, DELETE", get(sessions::sessions).delete(sessions::end_sessions))),
            (A_SESSION, only("DELETE", delete(sessions::end_session))),
            ("/signout", only("POST", post(sessions::sign_out))),
            ("/livez", only("GET", get(health::livez))),
            ("/readyz", only("GET", get(health::readyz))),
        ];
        let paths = routes.iter().map(|(path, _)| *path).collect();
        let router = Router::new().fallback(|| async { Problem::NO_SUCH_ROUTE });
        let router = routes.into_iter().fold(router, |router, (path, methods)| router.route(path, methods));
        Self { router: router.with_state(app.clone()), app, paths }
    }
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

/// With one token.
const USUAL_BODY_BYTES: usize = 768;
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let mut bytes = Vec::with_capacity(USUAL_BODY_BYTES);
    // Our own structs of text and numbers always serialize.
    let _ = serde_json::to_writer(&mut bytes, body);
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}
