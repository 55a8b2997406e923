//! What every handler of one runtime shares.

use std::{future::poll_fn, ops::Deref, pin::pin, sync::Arc, task::Poll, time::Duration};

use ipnet::IpNet;
use tokio::{sync::watch, time::timeout};

use super::{error::Problem, extract::PresentedTokens};
use crate::{
    auth::{Auth, Authorized},
    config::TokenRemoval,
    error::Error,
};

/// Where the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Ready.
    Serving,
    /// Told to stop: not ready, but still serving until load balancers have noticed.
    Leaving,
    /// Accepts no more connections; requests in flight finish.
    Closing,
}

/// The parts, behind one pointer.
pub struct App {
    /// The use cases.
    pub auth: Auth,
    /// For new accounts, in code points.
    pub password_min_length: usize,
    /// Who may call `DELETE /access-token`.
    pub token_removal: TokenRemoval,
    /// Deadline of a use case.
    pub request_timeout: Duration,
    /// Networks whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where the process is in its life; as it was received, so that it tells whether that has changed.
    pub phase: watch::Receiver<Phase>,
}

/// A handle on [`App`], cloned for each request.
#[derive(Clone)]
pub struct AppState(Arc<App>);

impl AppState {
    /// Wraps `app`.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self(Arc::new(app))
    }

    /// Looks at the tokens of a protected request.
    pub(super) async fn authorize(&self, tokens: &PresentedTokens) -> Result<Authorized, Problem> {
        let access_token = tokens.access().ok_or(Error::TokenMissing)?;
        self.in_time(self.auth.authorize(access_token, tokens.refresh())).await
    }

    /// Runs a use case within the request's deadline. What ends at once, as the look at a token does, sets no timer; and
    /// a timer is on the heap, where its alignment does not make the future of each request larger.
    pub(super) async fn in_time<T>(&self, use_case: impl Future<Output = Result<T, Error>>) -> Result<T, Problem> {
        let mut use_case = pin!(use_case);
        if let Poll::Ready(outcome) = poll_fn(|context| Poll::Ready(use_case.as_mut().poll(context))).await {
            return outcome.map_err(Problem::from);
        }
        match Box::pin(timeout(self.request_timeout, use_case)).await {
            Ok(outcome) => outcome.map_err(Problem::from),
            Err(_) => Err(Problem::DEADLINE),
        }
    }
}

impl Deref for AppState {
    type Target = App;

    fn deref(&self) -> &App {
        &self.0
    }
}
