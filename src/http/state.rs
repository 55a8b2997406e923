//! The shared state of the handlers of one worker. It also runs the use cases.

use std::{ops::Deref, sync::Arc, time::Duration};

use auth_service_records::error::Error;
use tokio::{sync::watch, time::timeout};

use super::{
    cors::Cors,
    extract::{basic::BasicAuthentication, proxies::Proxies},
    log_line::HealthAnswers,
    metadata::Metadata,
    metrics::Metrics,
    openapi::OpenApi,
    problem_response::Problem,
    tasks::Tasks,
};
use crate::{auth::Auth, config::TokenRemoval, trace::Tracer};

/// The phase in the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Ready.
    Serving,
    /// Told to stop: not ready, but still serving until load balancers have noticed.
    Leaving,
    /// Accepts no more connections. Requests in flight finish.
    Closing,
}

/// The parts of [`AppState`].
pub struct App {
    /// The use cases.
    pub auth: Auth,
    /// The minimum length of a new password, in code points.
    pub password_min_length: usize,
    /// Who may call `DELETE /access-token`.
    pub token_removal: TokenRemoval,
    /// Whether the server has the page `/docs`.
    pub docs: bool,
    /// Deadline of a use case.
    pub request_timeout: Duration,
    /// The other origins whose pages may read the answers, if any.
    pub cors: Option<Cors>,
    /// The trusted proxies. All workers share them, so that their warnings come once.
    pub proxies: Arc<Proxies>,
    /// The resource servers. All workers share them, so that their warnings stay few.
    pub resource_servers: Arc<BasicAuthentication>,
    /// The metadata, if the issuer is a URL.
    pub metadata: Option<Arc<Metadata>>,
    /// The OpenAPI document.
    pub openapi: Arc<OpenApi>,
    /// The last answers of the health checks, for the log. All workers share them.
    pub health: Arc<HealthAnswers>,
    /// The counts of requests. All workers share them.
    pub metrics: Metrics,
    /// Starts the spans of requests, if a collector gets them.
    pub tracer: Option<Tracer>,
    /// The phase in the life of the process.
    pub phase: watch::Receiver<Phase>,
}

/// A handle to [`App`], cloned for each request.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

struct Shared {
    app: App,
    writes: Tasks,
}

impl AppState {
    /// Wraps `app`.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self(Arc::new(Shared { app, writes: Tasks::default() }))
    }

    /// Runs a use case that changes nothing. The use case ends early if the client disconnects.
    ///
    /// The use case comes as a function here and in [`AppState::write`], because the compiler keeps a future that is an
    /// argument of an async function twice.
    ///
    /// # Errors
    /// [`Problem::DEADLINE`], or the problem for the error of the use case.
    pub(super) async fn read<T, F>(&self, use_case: impl FnOnce() -> F) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, Error>>,
    {
        match timeout(self.request_timeout, use_case()).await {
            Ok(outcome) => outcome.map_err(Problem::from),
            Err(_) => Err(Problem::DEADLINE),
        }
    }

    /// Runs a use case that changes something, in a task of its own. If the client disconnects or the deadline passes,
    /// only the request stops waiting. The use case runs to its end, so it always writes its audit line after a change.
    /// It does not begin while the audit trail has no room for more lines.
    ///
    /// # Errors
    /// As [`AppState::read`].
    pub(super) async fn write<T, F>(&self, use_case: impl FnOnce(Self) -> F + Send + 'static) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let app = self.clone();
        let ended = async move || {
            app.auth.trail_has_room().await;
            let of_task = app.clone();
            let task = app.0.writes.spawn(move || use_case(of_task));
            task.await.unwrap_or_else(|error| Err(Error::Internal(format!("a write failed: {error}"))))
        };
        self.read(ended).await
    }

    /// Returns when all use cases that [`AppState::write`] has started have ended.
    pub(super) async fn writes_ended(&self) {
        self.0.writes.ended().await;
    }

    /// Whether the process has been told to stop.
    pub(super) fn is_leaving(&self) -> bool {
        *self.phase.borrow() != Phase::Serving
    }
}

impl Deref for AppState {
    type Target = App;

    fn deref(&self) -> &App {
        &self.0.app
    }
}
