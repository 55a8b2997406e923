//! The layer around each route: the header `X-Request-Id`, `Cache-Control: no-store`, the headers of CORS, one log line,
//! and the checks of every request.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use hyper::body::Body as _;
use tower::Service;

use super::{
    extract::caller::Arrival,
    log_line::{LogLine, known_method},
    metrics::{ANY_METHOD, Counted, OTHER_METHOD, RouteMetrics},
    problem_response::{Failure, Problem},
    request_id::{RequestId, X_REQUEST_ID},
    state::AppState,
    trace::{self, Trace},
};

/// The maximum number of headers. hyper refuses more than 100 anyway, and another limit in hyper would allocate memory
/// for each request.
const HEADERS_MAX: usize = 64;
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// hyper reads the rest of a body that a route has left unread only if the rest has already arrived, and else closes the
/// connection. A body up to this size usually arrives with the head of its request, and larger bodies are rare.
const DRAINED_BYTES: u64 = 4 * 1024;

/// A route with the envelope around it.
#[derive(Clone)]
pub(super) struct Envelope<R> {
    route: R,
    app: AppState,
    encodings: Encodings,
    metrics: Arc<RouteMetrics>,
}

/// What the envelope does with a body that has a `Content-Encoding`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Encodings {
    /// Refuses the request, because the route would read the wrong text.
    Refused,
    /// The route reads no body, and the header may describe the body of another request.
    Ignored,
}

impl<R> Envelope<R> {
    pub(super) fn new(route: R, app: AppState, encodings: Encodings) -> Self {
        let metrics = Arc::new(RouteMetrics::new(app.metrics.clone()));
        Self { route, app, encodings, metrics }
    }

    /// The method for the metrics, without the methods that clients invent. Otherwise, each of these would make a
    /// series.
    fn counted_method(&self, request: &Request, problem: Option<&Problem>) -> &'static str {
        match (problem, self.encodings) {
            // The route may not have the method.
            (Some(_), _) => OTHER_METHOD,
            // The proxy sends the method of the request that it checks.
            (None, Encodings::Ignored) => ANY_METHOD,
            (None, Encodings::Refused) => known_method(request.method()),
        }
    }
}

impl<R> Service<Request> for Envelope<R>
where
    R: Service<Request, Response = Response, Error = Infallible>,
    R::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.route.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        // The service adds an arrival to every request, so the new id is never needed.
        let arrival: Option<&Arrival> = request.extensions().get();
        let id = arrival.map_or_else(RequestId::new, |arrival| arrival.id.clone());
        self.metrics.learn(request.extensions().get());
        let caller = arrival.and_then(|arrival| arrival.trace);
        let problem = refusal(&request, self.encodings);
        let counted =
            Counted { method: self.counted_method(&request, problem.as_ref()), route: Arc::clone(&self.metrics) };
        let (method, route) = (known_method(request.method()), request.extensions().get().map(MatchedPath::as_str));
        let trace = Trace::begin(self.app.tracer.as_ref(), method, route, caller);
        let context = trace.context();
        // The audit lines need the span, too.
        if self.app.tracer.is_some()
            && let Some(arrival) = request.extensions_mut().get_mut::<Arrival>()
        {
            arrival.trace = context;
        }
        let line = LogLine::start(method, counted, id.clone(), trace);
        let is_large = request.body().size_hint().exact().is_some_and(|bytes| bytes > DRAINED_BYTES);
        let cross_origin = self.app.cors.as_ref().map(|cors| cors.of(&request));
        let answer = match problem {
            Some(problem) => Err(problem),
            None => Ok(self.route.call(request)),
        };
        let app = self.app.clone();
        Box::pin(async move {
            // The connection closes after a refused request, because a proxy in front may parse the bytes after it
            // differently (request smuggling; RFC 9112, section 11.2).
            let (mut response, doubtful) = match answer {
                Ok(answer) => (answer.await?, false),
                Err(problem) => (problem.into_response(), true),
            };
            if let Some(cross_origin) = cross_origin {
                cross_origin.answer(&mut response);
            }
            line.answered(response.status(), response.extensions_mut().remove::<Failure>().as_ref(), &app.health);
            // A proxy that does not learn that the connection closes would lose its next request there.
            let unread = is_large || response.status() == StatusCode::PAYLOAD_TOO_LARGE;
            let headers = response.headers_mut();
            // A document that caches may keep belongs to no request.
            if !headers.contains_key(header::CACHE_CONTROL) {
                headers.insert(header::CACHE_CONTROL, NO_STORE);
                headers.insert(X_REQUEST_ID, id.into());
                trace::answer(context.as_ref(), headers);
            }
            if doubtful || unread || app.is_leaving() {
                headers.insert(header::CONNECTION, CLOSE);
            }
            Ok(response)
        })
    }
}

fn refusal(request: &Request, encodings: Encodings) -> Option<Problem> {
    let headers = request.headers();
    // RFC 9112, section 3.2 requires exactly one Host. HTTP/1.0 has no Host, and some health checks still use HTTP/1.0.
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Some(Problem::HOST);
    }
    if headers.len() > HEADERS_MAX {
        return Some(Problem::TOO_MANY_HEADERS);
    }
    // A chunked body that has another coding, too, or is chunked twice (RFC 9112, sections 6.1 and 7.1). hyper refuses a
    // body whose last coding is not `chunked`.
    let mut codings = members(headers, &header::TRANSFER_ENCODING);
    if codings.next().is_some_and(|first| !first.eq_ignore_ascii_case(b"chunked") || codings.next().is_some()) {
        return Some(Problem::TRANSFER_CODING);
    }
    let is_encoded = || members(headers, &header::CONTENT_ENCODING).any(|name| !name.eq_ignore_ascii_case(b"identity"));
    (encodings == Encodings::Refused && is_encoded()).then_some(Problem::ENCODING)
}

/// The members of a list, which may be spread over several headers (RFC 9110, section 5.6.1).
fn members<'h>(headers: &'h HeaderMap, name: &'h HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let values = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    values.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}
