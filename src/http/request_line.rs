//! The rules for the request line of a route: the methods, and whether the target may have a query.

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};

use super::{problem_response::Problem, state::AppState};

/// A route with exactly these methods, which `allow` lists (RFC 9110, section 10.2.1). The route takes no query. It
/// refuses HEAD, because axum would run the GET handler, which would mint tokens that no client receives.
pub(super) fn only(allow: &'static str, methods: MethodRouter<AppState>) -> MethodRouter<AppState> {
    takes_query(allow, methods.route_layer(from_fn(refuse_query)))
}

/// Like [`only`], for a route whose handlers read the query with `Query`.
pub(super) fn takes_query(allow: &'static str, methods: MethodRouter<AppState>) -> MethodRouter<AppState> {
    with_others(allow, methods.head(async move || Problem::method_not_allowed(allow)))
}

/// A route with GET and HEAD, which mints no token and reads no user data. The route takes no query.
pub(super) fn safe(get: MethodRouter<AppState>) -> MethodRouter<AppState> {
    with_others("GET, HEAD", get.route_layer(from_fn(refuse_query)))
}

/// A route that a setting has switched off.
pub(super) fn without_methods() -> MethodRouter<AppState> {
    with_others("", MethodRouter::new())
}

/// Answers OPTIONS, and refuses all methods that the route does not have.
fn with_others(allow: &'static str, methods: MethodRouter<AppState>) -> MethodRouter<AppState> {
    let allowed = [(header::ALLOW, HeaderValue::from_static(allow))];
    methods
        .options(async move || (StatusCode::NO_CONTENT, allowed))
        .fallback(async move || Problem::method_not_allowed(allow))
}

/// RFC 6750, section 5.3: URLs end up in logs and histories, so the server never reads a secret from a URL.
async fn refuse_query(request: Request, next: Next) -> Response {
    match request.uri().query() {
        None | Some("") => next.run(request).await,
        Some(_) => Problem::QUERY.into_response(),
    }
}
