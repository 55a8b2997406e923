//! The layer around all routes: a request id, `Cache-Control: no-store`, one log line, and the checks of every request.

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    log_line::LogLine,
    problem_response::{Failure, Problem},
    request_id::{RequestId, X_REQUEST_ID},
    state::AppState,
};

/// The maximum number of headers. hyper refuses more than 100 anyway, and another limit in hyper would allocate memory
/// for each request.
const HEADERS_MAX: usize = 64;
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// The layer around all routes.
pub(super) async fn envelope(
    State(app): State<AppState>,
    route: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let request_id = RequestId::of(request.headers());
    let line = LogLine::start(request.method(), route, request_id.clone());
    let refused = refusal(&request);
    // The connection closes after a refused request, because a proxy in front may parse the bytes after it differently
    // (request smuggling; RFC 9112, section 11.2).
    let doubtful = refused.is_some();
    let mut response = match refused {
        Some(problem) => problem.into_response(),
        None => {
            request.extensions_mut().insert(request_id.clone());
            next.run(request).await
        }
    };
    line.answered(response.status(), response.extensions_mut().remove::<Failure>());
    let headers = response.headers_mut();
    // A route may set a policy of its own.
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    headers.insert(X_REQUEST_ID, request_id.into());
    if doubtful || app.is_leaving() {
        headers.insert(header::CONNECTION, CLOSE);
    }
    response
}

fn refusal(request: &Request) -> Option<Problem> {
    let headers = request.headers();
    // RFC 9112, section 3.2 requires exactly one Host. HTTP/1.0 has no Host, and some health checks still use HTTP/1.0.
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Some(Problem::HOST);
    }
    if headers.len() > HEADERS_MAX {
        return Some(Problem::TOO_MANY_HEADERS);
    }
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")).then_some(Problem::ENCODING)
}
