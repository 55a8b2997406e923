//! The HTTP client for auth-service: JWKS, the feed and introspection.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client as Pooled, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;

use crate::tls;

/// Shorter than the 75 seconds after which a server closes an idle connection by default.
const IDLE: Duration = Duration::from_secs(30);
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("auth-service-resource-server/", env!("CARGO_PKG_VERSION")));

/// A client for one or more servers that share a store. Requests go to one server until that server fails.
pub(crate) struct Client {
    http: Pooled<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Without the slash at the end.
    servers: Vec<String>,
    /// The index of the server that gets the next request.
    current: AtomicUsize,
    /// HTTP Basic (RFC 7617).
    authorization: HeaderValue,
}

/// A request to the server.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    /// From the slash on, with the query.
    pub(crate) path: &'a str,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// Whether the server must know who calls.
    pub(crate) authenticated: bool,
    /// The longest answer that is read, in bytes.
    pub(crate) longest: usize,
}

/// A whole answer with the status 200 or 304.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why a request brought no answer that can be used.
#[derive(Debug)]
pub(crate) enum CallError {
    /// No connection, or the connection broke.
    Unreachable(String),
    /// No whole answer in time.
    Timeout,
    /// 401: the server does not know the name, or the secret is wrong.
    Credentials,
    /// Another status than 200 and 304.
    Status(StatusCode),
    /// The answer is too long, or not what the API promises.
    Malformed(&'static str),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "the server cannot be reached: {error}"),
            Self::Timeout => f.write_str("the server does not answer in time"),
            Self::Credentials => f.write_str("the server refuses the name or the secret of this resource server"),
            Self::Status(status) => write!(f, "the server answers {status}"),
            Self::Malformed(what) => write!(f, "the answer of the server cannot be used: {what}"),
        }
    }
}

impl<'a> Call<'a> {
    pub(crate) fn get(path: &'a str, longest: usize) -> Self {
        let (headers, body) = (HeaderMap::new(), String::new());
        Self { method: Method::GET, path, headers, body, authenticated: false, longest }
    }

    pub(crate) fn authenticated(self) -> Self {
        Self { authenticated: true, ..self }
    }
}

impl Client {
    /// `servers` has at least one base URL, which the builder has checked.
    pub(crate) fn new(servers: Vec<String>, name: &str, secret: &str, tls: rustls::ClientConfig) -> Self {
        let http = Pooled::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(tls::connector(tls));
        let credentials = format!("Basic {}", STANDARD.encode(format!("{name}:{secret}")));
        // Base64 is always a valid header value.
        let mut authorization = HeaderValue::from_str(&credentials).unwrap_or(HeaderValue::from_static(""));
        authorization.set_sensitive(true);
        Self { http, servers, current: AtomicUsize::new(0), authorization }
    }

    /// The number of servers.
    pub(crate) fn servers(&self) -> usize {
        self.servers.len()
    }

    /// Sends a request to the current server. After a failure, the next request goes to the next server.
    pub(crate) async fn send(&self, call: &Call<'_>, patience: Duration) -> Result<Answer, CallError> {
        let current = self.current.load(Ordering::Relaxed);
        let answer = timeout(patience, self.send_to(current, call)).await.unwrap_or(Err(CallError::Timeout));
        if answer.is_err() {
            let next = (current + 1) % self.servers.len();
            // Fails if another request has already moved on.
            let _ = self.current.compare_exchange(current, next, Ordering::Relaxed, Ordering::Relaxed);
        }
        answer
    }

    async fn send_to(&self, server: usize, call: &Call<'_>) -> Result<Answer, CallError> {
        let malformed = |_| CallError::Malformed("the URL is not valid");
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{}", self.servers[server], call.path))
            .body(Full::from(call.body.clone()))
            .map_err(malformed)?;
        request.headers_mut().extend(call.headers.clone());
        request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
        if call.authenticated {
            request.headers_mut().insert(header::AUTHORIZATION, self.authorization.clone());
        }
        let answer = self.http.request(request).await.map_err(|error| unreachable(&error))?;
        let (parts, body) = answer.into_parts();
        match parts.status {
            StatusCode::OK | StatusCode::NOT_MODIFIED => {}
            StatusCode::UNAUTHORIZED => return Err(CallError::Credentials),
            status => return Err(CallError::Status(status)),
        }
        let body = Limited::new(body, call.longest).collect().await.map_err(|error| match error.downcast_ref() {
            Some(LengthLimitError { .. }) => CallError::Malformed("it is too long"),
            None => CallError::Unreachable(error.to_string()),
        })?;
        Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes() })
    }
}

/// The innermost cause says most, such as "Connection refused".
fn unreachable(error: &dyn std::error::Error) -> CallError {
    let causes = std::iter::successors(Some(error), |error| error.source());
    CallError::Unreachable(causes.last().map(ToString::to_string).unwrap_or_default())
}

/// Never shows the secret.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("servers", &self.servers).finish_non_exhaustive()
    }
}
