//! The HTTP client that sends spans to the collector. Only the thread of the exporter uses the client.

use std::{env, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::{
    runtime::{self, Runtime},
    time::timeout,
};

/// The defaults of the OTLP specification.
const TIMEOUT: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Collector {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    runtime: Runtime,
}

impl Collector {
    pub(super) fn new() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let https = HttpsConnectorBuilder::new().with_tls_config(tls()?).https_or_http().enable_http1().build();
        // The runtime runs only during a request, so the client would reuse a connection that the collector has closed.
        let http = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https);
        let of = |name| env::var(name).ok()?.parse().ok().map(Duration::from_millis);
        let timeout = of("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT").or_else(|| of("OTEL_EXPORTER_OTLP_TIMEOUT"));
        Ok(Self { http, timeout: timeout.unwrap_or(TIMEOUT), runtime })
    }
}

/// Trusts the authorities of the operating system, if there are any.
fn tls() -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.runtime.block_on(async {
            let exchange = async {
                let (parts, body) = self.http.request(request.map(Full::new)).await?.into_parts();
                let body = Limited::new(body, LONGEST_ANSWER).collect().await?.to_bytes();
                Ok(Response::from_parts(parts, body))
            };
            timeout(self.timeout, exchange).await?
        })
    }
}
