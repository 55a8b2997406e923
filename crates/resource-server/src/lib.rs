//! Verifies the access tokens of auth-service in other services: offline, and still within a second of each removal.
//!
//! A check takes no request to the server. The verifier knows the public keys of the server, and follows its revocation
//! feed by two small requests a second, whatever the load.
//!
//! # Quick start
//!
//! The server needs two settings: `ACCESS_TOKEN_ALGORITHM=ES256`, and `RESOURCE_SERVERS` with an entry for this service.
//! `auth-service secrets resource-server orders` prints a secret and its entry. Then:
//!
//! ```no_run
//! use auth_service_resource_server::{VerifiedToken, Verifier};
//! use axum::{Extension, Router, routing::get};
//!
//! # async fn start(secret: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let verifier = Verifier::builder("https://auth.example.com").resource_server("orders", secret).start().await?;
//! let app = Router::new().route("/orders", get(orders)).layer(verifier.layer());
//!
//! async fn orders(Extension(token): Extension<VerifiedToken>) -> String {
//!     format!("orders of the user {}", token.sub)
//! }
//! # axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8080").await?, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Verifier::layer`] works with every tower service whose response body can be made from a `String`, such as those of
//! axum and `http_body_util::Full`. [`Verifier::optional_layer`] lets anonymous requests through. [`Verifier::verify`]
//! checks a token without a layer, for gRPC metadata or WebSocket messages. Put a layer for CORS outside of this layer,
//! because a preflight has no token.
//!
//! If the server sets `ISSUER` or `AUDIENCE`, give the same values to [`Builder::issuer`] and [`Builder::audience`].
//!
//! # What the layer answers
//!
//! | request | answer |
//! |---|---|
//! | a valid token, as `Bearer` in any case (RFC 6750) or bare, like the server | the inner service's |
//! | no token, or another scheme | 401 `token_missing`, `WWW-Authenticate: Bearer` |
//! | a malformed, forged or revoked token; another issuer, audience, `typ`, `alg` or key | 401 `invalid_token`, `WWW-Authenticate: Bearer error="invalid_token"` |
//! | a token that expired more than five seconds ago | 401 `token_expired`, the same challenge |
//! | two `Authorization` headers | 400 `ambiguous_token` |
//! | nobody can tell right now | 503 `verification_unavailable`, `Retry-After: 1` |
//!
//! The bodies are those of the server: `{"result": "Error occurred", "error": …, "code": …}`. The layer never renews a
//! token, and never reads the `Refresh-Token` header.
//!
//! # The bound
//!
//! **A request that begins a second or more after the server has acknowledged a removal is not served with a removed
//! token**, unless the server itself says at that moment that the token is active. [`Builder::bound`] changes the second.
//!
//! The proof has four steps:
//!
//! 1. The server publishes the ids of what ends before it acknowledges: the digest of the user's epoch (`eid`), or the
//!    session (`sid`). Each access token carries both ids, so no clock decides which tokens are meant.
//! 2. Each answer of the feed says how old it is (`age_ms`). A poll that began at the time `t` of this machine's
//!    monotonic clock has everything that was published before `t - age_ms`.
//! 3. A token is accepted offline only while that time is at most the bound ago, and only if none of its ids is listed.
//!    So at the time `now`, everything published before `now - bound` is known.
//! 4. In all other cases, the server is asked (RFC 7662), or the answer is 503.
//!
//! Removals are usually heard after a quarter to three quarters of a second. What fails half-way refuses too much, never
//! too little. A signing key that an operator revokes is in the feed, too: the verifier drops the key, and fetches the
//! keys again.
//!
//! # Outages
//!
//! | what fails | what happens |
//! |---|---|
//! | a server, with others behind a load balancer or named by [`Builder::server`] | the next poll goes to another server |
//! | the feed, for more than the bound | each genuine token is introspected: at most 64 at a time, within a second |
//! | the feed and introspection | 503 with `Retry-After`, never 401: a client throws its refresh token away after a 401 |
//! | the store of the server | `age_ms` grows, so the same |
//! | the server, when the verifier starts | the verifier starts, and answers 503 until it has heard from the server |
//! | the keys, while the feed is fresh | the old keys are trusted for an hour, then tokens are introspected |
//!
//! The polls never become slower in an outage, so tokens are accepted again half a second after its end. One warning
//! begins an outage in the log (`tracing`), and one line ends it. [`Verifier::is_fresh`] is for readiness checks and
//! metrics.
//!
//! # Costs and limits
//!
//! - A token that was seen before costs less than a microsecond, a new one less than 120 µs: an ES256 signature. The
//!   verifier remembers at most 65,536 tokens, in about 13 MB.
//! - The revoked ids take about 50 bytes each. The memory holds those of the feed, which keeps an id for as long as an
//!   access token can live, and those of the five to ten minutes after. An answer may have 16 MiB, which is half a
//!   million ids.
//! - Keys are fetched at the start, then as `Cache-Control` says (between one and fifteen minutes), and for an unknown
//!   `kid` at most once in ten seconds, by one request at a time. In the meantime, a token with an unknown key is refused;
//!   in the half minute after the revocation of a key, such a token is introspected.
//! - `exp` is compared with the clock of this machine, with five seconds of leeway. A clock that is behind keeps expired
//!   tokens alive for as long. Removed tokens stay refused as long as the clock is behind by less than five minutes.
//! - HTTP/1.1 over TLS 1.2 or 1.3 by rustls with ring, which this crate never installs as the default of the process.
//!   The authorities are those of the operating system, or [`Builder::certificate_authorities`]. Use `http://` only in a
//!   network that you trust.
//!
//! # What this crate does not do
//!
//! - It does not verify HS256 tokens: this needs the server's secret. Switch the server to ES256 first.
//! - It does not check that the user still exists with the same email, or any permission. The identity is what the token
//!   says.
//! - It does not refresh tokens. Clients do, at the server.
//! - It does not hear of a sign-out faster than the next poll. If an action must not happen after a removal, introspect
//!   the token, or let the server decide.

mod builder;
mod client;
mod feed;
mod introspection;
mod keys;
mod layer;
mod offline;
mod outage;
mod poller;
mod presented;
mod problem;
mod refusal;
mod start_error;
mod tls;
mod verified;
mod verifier;

pub use auth_service_token::{Amr, Id};
pub use uuid::Uuid;

pub use self::{
    builder::Builder,
    layer::{TokenGuard, TokenLayer},
    refusal::Refusal,
    start_error::StartError,
    verified::VerifiedToken,
    verifier::Verifier,
};
