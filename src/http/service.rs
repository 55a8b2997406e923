//! The router, as the connections call it.

use std::net::IpAddr;

use axum::{Router, body::Body as AxumBody, http::Request, response::Response};
use hyper::body::{Body, Bytes};
use tower::Service as _;

use super::{extract::caller::Arrival, request_id::RequestId, state::AppState, target::decode_unreserved, trace};

/// Answers requests. A clone shares everything with the original.
#[derive(Clone)]
pub struct Service {
    router: Router,
    app: AppState,
}

impl Service {
    pub(super) fn new(router: Router, app: AppState) -> Self {
        Self { router, app }
    }

    /// Answers a request that came from `peer`, the address at the other end of the connection.
    pub async fn answer<B>(&self, peer: IpAddr, request: Request<B>) -> Response
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let mut request = request.map(AxumBody::new);
        decode_unreserved(request.uri_mut());
        let id = RequestId::of(request.headers());
        let trace = trace::of_caller(request.headers());
        request.extensions_mut().insert(Arrival { peer, id, trace });
        let Ok(response) = self.router.clone().call(request).await;
        response
    }

    /// Returns when no write runs, see [`AppState::write`].
    pub(super) async fn writes_ended(&self) {
        self.app.writes_ended().await;
    }
}
