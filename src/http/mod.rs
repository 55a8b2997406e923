//! The HTTP interface, with every route on one screen. Only this folder uses axum, hyper and tower.
//!
//! | file | contents |
//! |---|---|
//! | `service`, `target` | the router, as the connections call it, and one spelling for each path |
//! | `envelope`, `request_id`, `trace`, `log_line` | the layer around each route, the request id, the trace, the log line |
//! | `metrics`, `scrape` | the metrics of requests, and the listener that shows all metrics |
//! | `cors` | the origins whose pages may read the answers |
//! | `methods` | the methods of a route |
//! | `extract` | the parts of a request that handlers take |
//! | `routes` | the handlers |
//! | `state`, `tasks` | the shared state of the handlers, and the tasks of the use cases |
//! | `response` | JSON answers |
//! | `document`, `metadata`, `openapi`, `docs_page` | documents that caches may keep |
//! | `problem`, `problem_response` | the table of errors, and the error body |
//! | `serve` | listener, workers, connections |

mod cors;
mod docs_page;
mod document;
mod envelope;
mod extract;
mod log_line;
mod metadata;
mod methods;
mod metrics;
mod openapi;
mod problem;
mod problem_response;
mod request_id;
mod response;
mod routes;
mod scrape;
mod serve;
mod service;
mod state;
mod target;
mod tasks;
mod trace;

use axum::{
    Router,
    routing::{MethodRouter, any, delete, get, post, put},
};
use tower::layer::layer_fn;

pub use self::{
    cors::Cors,
    extract::{basic::BasicAuthentication, proxies::Proxies},
    log_line::HealthAnswers,
    metadata::Metadata,
    metrics::Metrics,
    openapi::OpenApi,
    scrape::serve_metrics,
    serve::{
        activity::Timeouts,
        places::ConnectionLimits,
        server::{Leave, Server},
        worker::Worker,
    },
    service::Service,
    state::{App, AppState, Phase},
};
use self::{
    envelope::{Encodings, Envelope},
    methods::{every, only, safe, without_methods},
    problem_response::Problem,
    routes::{
        accounts, email, forward_auth::forward_auth, health, oauth, password, revocations, sessions, tokens, totp,
        well_known,
    },
};
use crate::config::TokenRemoval;

/// All routes, with the envelope around each.
#[must_use]
pub fn service(app: AppState) -> Service {
    let envelope = |encodings| {
        let app = app.clone();
        layer_fn(move |route| Envelope::new(route, app.clone(), encodings))
    };
    let routes = Router::new()
        .route("/signup", only("POST", post(accounts::sign_up)))
        .route("/authenticate", only("GET, POST", get(tokens::authenticate).post(tokens::authenticate)))
        .route("/authenticate/totp", only("POST", post(totp::authenticate_totp)))
        .route(
            "/refresh-access-token",
            only("GET, POST", get(tokens::refresh_access_token).post(tokens::refresh_access_token)),
        )
        .route("/access-token", removal(app.token_removal))
        .route("/user", only("GET, DELETE", get(accounts::current_user).delete(accounts::delete_user)))
        .route("/user/password", only("PUT", put(accounts::change_password)))
        .route("/user/totp", only("POST, DELETE", post(totp::start_totp).delete(totp::remove_totp)))
        .route("/user/totp/confirm", only("POST", post(totp::confirm_totp)))
        .route("/user/email", only("PUT", put(email::change_email)))
        .route("/password/forgot", only("POST", post(password::forgot_password)))
        .route("/password/reset", only("POST", post(password::reset_password)))
        .route("/email/verification", only("POST", post(email::request_email_verification)))
        .route("/email/verify", only("POST", post(email::verify_email)))
        .route("/sessions", only("GET, DELETE", get(sessions::sessions).delete(sessions::end_sessions)))
        .route("/sessions/{id}", only("DELETE", delete(sessions::end_session)))
        .route("/signout", only("POST", post(sessions::sign_out)))
        .route("/introspect", only("POST", post(oauth::introspect)))
        .route("/revoke", only("POST", post(oauth::revoke)))
        .route("/revocations", only("GET", get(revocations::revocations)))
        .route("/.well-known/jwks.json", safe(get(well_known::keys)))
        .route("/.well-known/oauth-authorization-server", safe(get(well_known::metadata)))
        .route("/.well-known/oauth-authorization-server/{*issuer_path}", safe(get(well_known::metadata)))
        .route("/openapi.json", safe(get(well_known::openapi)))
        .route("/livez", safe(get(health::livez)))
        .route("/readyz", safe(get(health::readyz)))
        .fallback(async || Problem::NO_SUCH_ROUTE)
        .layer(envelope(Encodings::Refused));
    let docs = Router::new()
        .route("/docs", safe(get(docs_page::page)))
        .route("/docs/{file}", safe(get(docs_page::file)))
        .layer(envelope(Encodings::Refused));
    let for_proxies = Router::new()
        .route("/forward-auth", every(any(forward_auth)))
        .route("/forward-auth/", every(any(forward_auth)))
        .route("/forward-auth/{*rest}", every(any(forward_auth)))
        .layer(envelope(Encodings::Ignored));
    let routes = routes.merge(for_proxies);
    let routes = if app.docs { routes.merge(docs) } else { routes };
    Service::new(routes.with_state(app.clone()), app)
}

fn removal(setting: TokenRemoval) -> MethodRouter<AppState> {
    match setting {
        TokenRemoval::Open => only("DELETE", delete(tokens::remove_access_token)),
        TokenRemoval::Owner => only("DELETE", delete(tokens::remove_own_access_token)),
        TokenRemoval::Off => without_methods(),
    }
}
