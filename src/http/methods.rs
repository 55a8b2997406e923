//! The methods of a route.

use axum::{
    http::{HeaderValue, StatusCode, header},
    routing::MethodRouter,
};

use super::{problem_response::Problem, state::AppState};

/// A route with exactly these methods, which `allow` lists (RFC 9110, section 10.2.1). The route refuses HEAD, because
/// axum would run the GET handler, which would mint tokens that no client receives.
pub(super) fn only(allow: &'static str, methods: MethodRouter<AppState>) -> MethodRouter<AppState> {
    with_others(allow, methods.head(async move || Problem::method_not_allowed(allow)))
}

/// A route with GET and HEAD, which mints no token and reads no user data.
pub(super) fn safe<S: Clone + Send + Sync + 'static>(get: MethodRouter<S>) -> MethodRouter<S> {
    with_others("GET, HEAD", get)
}

/// A route with every method, OPTIONS and unknown methods included, except TRACE and CONNECT, whose answers HTTP defines
/// otherwise (RFC 9110, sections 9.3.6 and 9.3.8).
pub(super) fn every(any: MethodRouter<AppState>) -> MethodRouter<AppState> {
    let refuse = async || Problem::method_not_allowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    any.trace(refuse).connect(refuse)
}

/// A route that a setting has switched off.
pub(super) fn without_methods() -> MethodRouter<AppState> {
    with_others("", MethodRouter::new())
}

/// Answers OPTIONS, and refuses all methods that the route does not have.
fn with_others<S: Clone + Send + Sync + 'static>(allow: &'static str, methods: MethodRouter<S>) -> MethodRouter<S> {
    let allowed = [(header::ALLOW, HeaderValue::from_static(allow))];
    methods
        .options(async move || (StatusCode::NO_CONTENT, allowed))
        .fallback(async move || Problem::method_not_allowed(allow))
}
