//! What every request and every answer has: a request id, no-store, one log line, and the checks that no route may miss.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    AppState, Phase,
    caller::RequestId,
    error::{Failure, Problem},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_MAX_BYTES: usize = 64;
/// hyper itself stops at 100, and costs an allocation for each request when told otherwise.
const HEADERS_MAX: usize = 64;
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const CLOSE: HeaderValue = HeaderValue::from_static("close");

pub(super) async fn wrap(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let request_id = request_id(request.headers());
    request.extensions_mut().insert(RequestId(request_id.clone()));
    let method = known_method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    // What is refused unrouted may come from something that sees other requests in its bytes than we do.
    let (mut response, close) = match refusal(&request) {
        Some(problem) => (problem.into_response(), true),
        None => (next.run(request).await, false),
    };
    let failure = response.extensions_mut().remove::<Failure>();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(REQUEST_ID, request_id.clone());
    if close || *app.phase.borrow() != Phase::Serving {
        headers.insert(header::CONNECTION, CLOSE);
    }
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    log(method, route, &response, failure, start, &request_id);
    response
}

/// Nothing here comes from the client but the request id, which `request_id` has checked.
fn log(
    method: &str,
    route: &str,
    response: &Response,
    failure: Option<Failure>,
    start: Instant,
    request_id: &HeaderValue,
) {
    let status = response.status().as_u16();
    let duration_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    let request_id = request_id.to_str().unwrap_or_default();
    match failure {
        None => tracing::info!(method, route, status, duration_us, request_id, "request"),
        Some(Failure { code, detail: None }) => {
            tracing::info!(method, route, status, duration_us, request_id, code, "request");
        }
        Some(Failure { code, detail: Some(detail) }) => {
            tracing::error!(method, route, status, duration_us, request_id, code, detail, "request");
        }
    }
}

fn refusal(request: &Request) -> Option<Problem> {
    // RFC 9112, section 3.2; HTTP/1.0 has no Host, and some health checks still speak it.
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Some(Problem::HOST);
    }
    if request.headers().len() > HEADERS_MAX {
        return Some(Problem::TOO_MANY_HEADERS);
    }
    // RFC 6750, section 5.3: URLs end up in logs and histories, so nothing secret is ever read from them. One route
    // takes a parameter, and checks it.
    let takes_query = request.method() == Method::DELETE && request.uri().path() == "/sessions";
    request.uri().query().filter(|_| !takes_query).map(|_| Problem::QUERY)
}

/// The client's id if it is sane, else one of ours: unique, but not random.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| {
        let mut bytes = [0; 8];
        // Without randomness ids of two processes may collide, which costs no more than a confusing log.
        let _ = getrandom::fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    });
    static COUNT: AtomicU64 = AtomicU64::new(0);
    match headers.get(REQUEST_ID) {
        Some(id) if is_sane(id.as_bytes()) => id.clone(),
        _ => {
            let id = format!("{:016x}-{:x}", *PROCESS, COUNT.fetch_add(1, Ordering::Relaxed));
            HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("-"))
        }
    }
}

fn is_sane(id: &[u8]) -> bool {
    (1..=REQUEST_ID_MAX_BYTES).contains(&id.len())
        && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A method that we do not know is the client's text, which does not belong in a log.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "OTHER",
    }
}
