//! What the request line may say on a route: the methods, and whether the target may have a query.

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};

use super::{problem_response::Problem, state::AppState};

/// A route with these methods and no others, which `allow` lists (RFC 9110, section 10.2.1). It takes no query. HEAD is
/// refused: axum would run the GET handler for it, and so mint tokens for nobody.
pub(super) fn only(allow: &'static str, methods: MethodRouter<AppState>) -> MethodRouter<AppState> {
    takes_query(allow, methods.route_layer(from_fn(refuse_query)))
}

/// As [`only`], for a route whose handlers read the query, each with `Query`.
pub(super) fn takes_query(allow: &'static str, methods: MethodRouter<AppState>) -> MethodRouter<AppState> {
    with_others(allow, methods.head(async move || Problem::method_not_allowed(allow)))
}

/// A route with GET and HEAD, which mints nothing and reads no one's data. It takes no query.
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

/// RFC 6750, section 5.3: URLs end up in logs and histories, so nothing secret is ever read from them.
async fn refuse_query(request: Request, next: Next) -> Response {
    match request.uri().query() {
        None | Some("") => next.run(request).await,
        Some(_) => Problem::QUERY.into_response(),
    }
}
