//! The tower layer and its service.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderName, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::{presented::Presented, problem::Problem, verifier::Verifier};

/// The headers of W3C Trace Context.
const TRACE: [HeaderName; 2] = [HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate")];
/// The number of bytes that the specification wants passed on at least. Without a limit, a client could make a request
/// too large for the server.
const LONGEST_TRACE: usize = 512;

/// Puts a [`TokenGuard`] before a service. [`Verifier::layer`] and [`Verifier::optional_layer`] make layers.
#[derive(Debug, Clone)]
pub struct TokenLayer {
    verifier: Verifier,
    optional: bool,
}

impl Verifier {
    /// A layer that lets only requests with a valid token through. It answers 400, 401 or 503 to all other requests.
    #[must_use]
    pub fn layer(&self) -> TokenLayer {
        TokenLayer { verifier: self.clone(), optional: false }
    }

    /// Like [`Verifier::layer`], but also lets requests without a token through. Those have no
    /// [`VerifiedToken`](crate::VerifiedToken) in their extensions. A request with a bad token is still refused.
    #[must_use]
    pub fn optional_layer(&self) -> TokenLayer {
        TokenLayer { verifier: self.clone(), optional: true }
    }
}

impl<S> Layer<S> for TokenLayer {
    type Service = TokenGuard<S>;

    fn layer(&self, inner: S) -> TokenGuard<S> {
        TokenGuard { inner, verifier: self.verifier.clone(), optional: self.optional }
    }
}

/// Verifies the access token of each request before the inner service sees the request.
///
/// The inner service finds the [`VerifiedToken`](crate::VerifiedToken) in the extensions of the request.
#[derive(Debug, Clone)]
pub struct TokenGuard<S> {
    inner: S,
    verifier: Verifier,
    optional: bool,
}

impl<S, B, R> Service<Request<B>> for TokenGuard<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The service that is ready is the one that must be called, so the clone takes its place.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let (verifier, optional) = (self.verifier.clone(), self.optional);
        Box::pin(async move {
            match authorize(&verifier, optional, &mut request).await {
                Ok(()) => inner.call(request).await,
                Err(problem) => Ok(problem.into_response()),
            }
        })
    }
}

/// Verifies the token of the request, and puts the identity into the extensions.
async fn authorize<B>(verifier: &Verifier, optional: bool, request: &mut Request<B>) -> Result<(), Problem> {
    // The body need not be `Sync`, so only the headers live across the wait.
    let headers = request.headers();
    let verified = match Presented::of(headers) {
        Presented::None if optional => return Ok(()),
        Presented::None => return Err(Problem::missing()),
        Presented::Ambiguous => return Err(Problem::ambiguous()),
        Presented::Token(token) => verifier.verify_in(token, &trace_of(headers)).await.inspect_err(|refusal| {
            tracing::debug!(%refusal, "a request is refused");
        })?,
    };
    request.extensions_mut().insert(verified);
    Ok(())
}

/// The headers of the trace of a request. Without them, the map allocates no memory.
fn trace_of(headers: &HeaderMap) -> HeaderMap {
    let of_request = |name| Some((name, headers.get(name).filter(|value| value.len() <= LONGEST_TRACE)?.clone()));
    TRACE.iter().filter_map(of_request).map(|(name, value)| (name.clone(), value)).collect()
}
