//! Sends a webhook.

use std::{error::Error, fmt, io, iter, sync::Arc, time::Duration};

use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Pooled, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::time::timeout;

use crate::{
    resolver::{NotPublic, Resolver},
    secrets::WebhookSecrets,
    url::WebhookUrl,
};

/// The time for a whole delivery, from the look-up of the host to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Shorter than the time after which most servers close an idle connection.
const IDLE: Duration = Duration::from_secs(30);
/// The longest body of an answer that is read, so that the connection can be used again. In bytes.
const LONGEST_ANSWER: usize = 16 * 1024;
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("auth-service/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Sends webhooks to one URL. Follows no redirect, because the target of a redirect is not the operator's choice.
pub struct Client {
    http: Pooled<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    url: WebhookUrl,
    secrets: WebhookSecrets,
}

/// A webhook.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The same for all tries, so that the receiver can ignore a repetition. ASCII letters, digits, `-` and `_`.
    pub id: &'a str,
    /// The time of this try, in seconds since the Unix epoch.
    pub timestamp: u64,
    /// JSON.
    pub body: &'a str,
}

/// Why a try has failed.
#[derive(Debug)]
pub enum DeliveryError {
    /// The host has no public address.
    NotPublic,
    /// No connection, or the connection broke. The text names the cause.
    Unreachable(String),
    /// No whole answer in 10 seconds.
    Timeout,
    /// Another status than 2xx.
    Status(u16),
}

impl DeliveryError {
    /// The names of all reasons, for metrics.
    pub const REASONS: [&'static str; 4] = ["not_public", "unreachable", "timeout", "status"];

    /// The name of the reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        let [not_public, unreachable, timeout, status] = Self::REASONS;
        match self {
            Self::NotPublic => not_public,
            Self::Unreachable(_) => unreachable,
            Self::Timeout => timeout,
            Self::Status(_) => status,
        }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPublic => NotPublic.fmt(f),
            Self::Unreachable(cause) => write!(f, "the receiver cannot be reached: {cause}"),
            Self::Timeout => write!(f, "the receiver does not answer within {} seconds", PATIENCE.as_secs()),
            Self::Status(status) => write!(f, "the receiver answers {status}"),
        }
    }
}

impl Client {
    /// A client that trusts the authorities of the operating system.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(url: WebhookUrl, secrets: WebhookSecrets) -> io::Result<Self> {
        let mut http = HttpConnector::new_with_resolver(Resolver { allow_private: url.allow_private });
        http.set_nodelay(true);
        http.enforce_http(false);
        http.set_connect_timeout(Some(PATIENCE / 2));
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls()?);
        let http = Pooled::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(tls.https_or_http().enable_http1().wrap_connector(http));
        Ok(Self { http, url, secrets })
    }

    /// Sends a webhook once. Only a status of 2xx means that the receiver has it.
    ///
    /// # Errors
    /// A [`DeliveryError`]. The receiver may have the webhook nevertheless, because only the answer may be lost.
    pub async fn deliver(&self, message: Message<'_>) -> Result<(), DeliveryError> {
        timeout(PATIENCE, self.send(message)).await.unwrap_or(Err(DeliveryError::Timeout))
    }

    async fn send(&self, Message { id, timestamp, body }: Message<'_>) -> Result<(), DeliveryError> {
        let request = Request::post(self.url.uri.clone())
            .header(header::CONTENT_TYPE, JSON)
            .header(header::USER_AGENT, USER_AGENT)
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", self.secrets.sign(id, timestamp, body))
            .body(Full::from(body.to_owned()))
            .map_err(|error| DeliveryError::Unreachable(error.to_string()))?;
        let answer = self.http.request(request).await.map_err(|error| failure(&error))?;
        let (parts, body) = answer.into_parts();
        finish(body).await;
        if parts.status.is_success() { Ok(()) } else { Err(DeliveryError::Status(parts.status.as_u16())) }
    }
}

/// Reads a short body to its end. The content does not matter, and neither does an error: the status has arrived.
async fn finish(body: Incoming) {
    let _ = timeout(PATIENCE / 10, Limited::new(body, LONGEST_ANSWER).collect()).await;
}

fn failure(error: &(dyn Error + 'static)) -> DeliveryError {
    let causes = || iter::successors(Some(error), |error| (*error).source());
    // An `io::Error` gives the source of the error that it wraps, and not that error.
    let is_not_public = |cause: &(dyn Error + 'static)| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause.is::<NotPublic>() || inner.is_some_and(|inner| inner.is::<NotPublic>())
    };
    if causes().any(is_not_public) {
        return DeliveryError::NotPublic;
    }
    // The innermost cause says most, such as "Connection refused".
    DeliveryError::Unreachable(causes().last().map(ToString::to_string).unwrap_or_default())
}

fn tls() -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    // Some systems have authorities that rustls cannot read. A handshake fails if the right one is missing.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
