//! `GET /metrics`, on a listener of its own, so that clients cannot read the metrics.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use auth_service_records::error::Error;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use prometheus_client::{
    encoding::{prometheus_text, text},
    registry::Registry,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::{sleep, timeout},
};
use tower::Service as _;

use super::{methods::safe, problem_response::Problem};
use crate::log::Seldom;

/// The maximum number of open connections. A further one closes the oldest, so that slow clients cannot keep Prometheus
/// waiting.
const CONNECTIONS_MAX: usize = 16;
/// How long a connection may last. Each connection carries one scrape, which takes about a millisecond.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
const HEAD_MAX_BYTES: usize = 16 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const OPEN_METRICS: &str = "application/openmetrics-text";
const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves the metrics of `registry` until the process ends.
pub async fn serve_metrics(listener: TcpListener, registry: Registry) {
    let router = Router::new()
        .route("/metrics", safe(get(metrics)))
        .fallback(async || Problem::NOT_METRICS)
        .with_state(Arc::new(registry));
    let (mut open, failures) = (VecDeque::<AbortHandle>::new(), Seldom::new());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                open.retain(|connection| !connection.is_finished());
                if open.len() == CONNECTIONS_MAX
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                let router = router.clone();
                let connection = tokio::spawn(async move {
                    // The client causes every error here: it disconnected, was too slow, or did not speak HTTP.
                    let _ = timeout(CONNECTION_TIMEOUT, answer(stream, router)).await;
                });
                open.push_back(connection.abort_handle());
            }
            Err(error) => {
                if let Some(times) = failures.due() {
                    tracing::warn!(times, %error, "a connection for metrics could not be accepted");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, router: Router) -> hyper::Result<()> {
    let answer = move |request: Request<Incoming>| {
        let mut router = router.clone();
        async move { router.call(request.map(Body::new)).await as Result<_, Infallible> }
    };
    http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD_MAX_BYTES)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await
}

/// Prometheus asks for OpenMetrics. Other programs may understand only the older format.
async fn metrics(State(registry): State<Arc<Registry>>, headers: HeaderMap) -> Response {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let open_metrics = accepted.any(|accept| accept.contains(OPEN_METRICS));
    let mut body = String::new();
    let (encoded, content_type) = if open_metrics {
        (text::encode(&mut body, &registry), OPEN_METRICS_TYPE)
    } else {
        (prometheus_text::encode(&mut body, &registry), prometheus_text::CONTENT_TYPE)
    };
    match encoded {
        Ok(()) => ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response(),
        Err(error) => Problem::from(Error::Internal(format!("the metrics cannot be written: {error}"))).into_response(),
    }
}
