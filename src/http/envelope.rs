//! What every request and every answer has: a request id, no-store, one log line, and the checks that no route may miss.

use std::{
    cell::Cell,
    future::poll_fn,
    mem,
    net::IpAddr,
    pin::{Pin, pin},
    task::Poll,
    time::Instant,
};

use axum::{
    BoxError, body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use hyper::body::{Body, Bytes};
use tower::Service as _;

use super::{
    A_SESSION, REFRESH, Service, USER, accounts,
    caller::Arrival,
    error::{Failure, Problem},
    tokens,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_MAX_BYTES: usize = 64;
/// hyper itself stops at 100, and costs an allocation for each request when told otherwise.
const HEADERS_MAX: usize = 64;
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const CLOSE: HeaderValue = HeaderValue::from_static("close");

impl Service {
    /// Answers a request that came from `peer`. Around the router and not a layer of it: a layer is a copy of the route
    /// and of the request, and an allocation or two, for each request.
    pub async fn answer<B>(&self, peer: IpAddr, request: Request<B>) -> Response
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let start = Instant::now();
        let request_id = request_id(request.headers());
        let (method, route) = (known_method(request.method()), self.route(request.uri().path()));
        // What is refused unrouted may come from something that sees other requests in its bytes than we do.
        let (mut response, close) = match refusal(&request) {
            Some(problem) => (problem.into_response(), true),
            None => {
                let arrival = || Arrival { peer, request_id: request_id.clone() };
                (after_others(self.run(method, route, arrival, request)).await, false)
            }
        };
        let failure = response.extensions_mut().remove::<Failure>();
        log(method, route, response.status(), failure, start, &request_id);
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, NO_STORE);
        headers.insert(REQUEST_ID, request_id);
        // Once it has changed it never is as it was; and looking at it would write to memory that all workers share.
        if close || self.app.phase.has_changed().is_ok_and(|changed| changed) {
            headers.insert(header::CONNECTION, CLOSE);
        }
        response
    }

    /// The two requests that services and clients send without pause go past the router, whose boxes and extensions are
    /// some 3 % of what they cost.
    async fn run<B>(
        &self,
        method: &str,
        route: &str,
        arrival: impl FnOnce() -> Arrival,
        request: Request<B>,
    ) -> Response
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        match (method, route) {
            ("GET", USER) => accounts::current_user(&self.app, &parts.headers, body).await.into_response(),
            ("GET" | "POST", REFRESH) => {
                let refreshed = tokens::refresh_access_token(&self.app, arrival(), &parts.headers, body);
                // As the router keeps its handlers, so that the compiler need not see through all at once.
                let refreshed: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(refreshed);
                refreshed.await.into_response()
            }
            _ => {
                let mut request = Request::from_parts(parts, body::Body::new(body));
                request.extensions_mut().insert(arrival());
                let Ok(response) = self.router.clone().call(request).await;
                response
            }
        }
    }

    /// The route as the log names it: a path that is none of ours is the client's text.
    fn route(&self, path: &str) -> &'static str {
        let known = self.paths.iter().find(|known| **known == path);
        let is_a_session = || path.strip_prefix("/sessions/").is_some_and(|id| !id.is_empty() && !id.contains('/'));
        known.copied().or_else(|| is_a_session().then_some(A_SESSION)).unwrap_or("unmatched")
    }
}

/// What is answered without waiting for anything is answered after others have been asked, too: answers that leave one
/// after the other wake a client less often than those between which another request is read, and a client that is woken
/// takes the processor away (9 % of throughput, measured on two cores with the client on the same machine).
async fn after_others<T>(answer: impl Future<Output = T>) -> T {
    let mut answer = pin!(answer);
    let Poll::Ready(answer) = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await else {
        return answer.await;
    };
    let mut others_were_asked = false;
    // tokio's own `yield_now` also looks for more to read, which costs more than it brings.
    poll_fn(|context| {
        if mem::replace(&mut others_were_asked, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    answer
}

/// Nothing here comes from the client but the request id, which `request_id` has checked.
fn log(
    method: &str,
    route: &str,
    status: StatusCode,
    failure: Option<Failure>,
    start: Instant,
    request_id: &HeaderValue,
) {
    let status = status.as_u16();
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

fn refusal<B>(request: &Request<B>) -> Option<Problem> {
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
    thread_local! {
        static THREAD: u64 = {
            let mut bytes = [0; 8];
            // Without randomness ids of two threads may collide, which costs no more than a confusing log.
            let _ = getrandom::fill(&mut bytes);
            u64::from_ne_bytes(bytes)
        };
        static COUNT: Cell<u64> = const { Cell::new(0) };
    }
    if let Some(id) = headers.get(REQUEST_ID).filter(|id| is_sane(id.as_bytes())) {
        return id.clone();
    }
    let mut id = [0; 32];
    hexadecimal(THREAD.with(|thread| *thread), &mut id[..16]);
    hexadecimal(COUNT.replace(COUNT.get() + 1), &mut id[16..]);
    HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static("-"))
}

/// Fills `text` from the right.
fn hexadecimal(mut number: u64, text: &mut [u8]) {
    for digit in text.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
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
