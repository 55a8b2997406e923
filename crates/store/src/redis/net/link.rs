//! A connection to one Redis server.
//!
//! A [`Link`] is the shared multiplexed connection of one runtime to a primary. The library's own connection never
//! reconnects after a loss, and its `ConnectionManager` never gives up a black-holed connection. Therefore a background
//! task owns the connection here and reconnects. Requests fail at once while there is no connection. A write that waits
//! for replicas uses a connection of its own.

use std::sync::Arc;

use auth_service_records::error::{Error, Outage};
use redis::{RedisError, Value};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use super::{
    connection::RESPONSE_TIMEOUT,
    keeper::Keeper,
    replicated::Written,
    report::Report,
    request::{Mode, Request},
    source::Source,
    state::{Current, State},
    timekeeper::Timekeeper,
};
use crate::{
    redis::{
        errors::to_error,
        keys::{Keys, Tag},
    },
    settings::Wait,
};

/// The shared connection of one runtime to one server. Dropping the link closes the connection.
pub(in crate::redis) struct Link {
    source: Source,
    state: Arc<State>,
    tried: watch::Receiver<bool>,
    keeper: AbortHandle,
}

/// Why a request has no answer.
pub(in crate::redis) enum Failure {
    /// An error that does not come from Redis: no connection, no free connection, or too few replicas.
    Error(Error),
    /// An error of the server or of the connection.
    Redis(RedisError),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Error(error) => error,
            Failure::Redis(error) => to_error(&error),
        }
    }
}

impl Link {
    /// Starts to connect in the background. With `wait`, the link can send writes that wait for replicas. With a
    /// `timekeeper`, the clock follows the server. `probe` is the key of the readiness check.
    pub(in crate::redis) fn start(
        source: Source,
        wait: Option<(Wait, Keys)>,
        timekeeper: Option<Arc<Timekeeper>>,
        probe: String,
        report: Report,
    ) -> Self {
        let state = Arc::new(State::new(probe, report));
        let (sender, tried) = watch::channel(false);
        let keeper = Keeper { source: source.clone(), wait, timekeeper, state: Arc::clone(&state) };
        let keeper = tokio::spawn(keeper.run(sender)).abort_handle();
        Self { source, state, tried, keeper }
    }

    /// Returns when the first attempt to connect has succeeded or failed.
    pub(in crate::redis) async fn tried(&self) {
        // The background task ends only together with the runtime, so an error needs no handling.
        let _ = self.tried.clone().wait_for(|tried| *tried).await;
    }

    /// The serial of the current connection, which no other connection of this link has.
    pub(in crate::redis) fn connection(&self) -> Result<u64, Error> {
        Ok(self.state.current()?.serial)
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.current().is_ok()
    }

    /// Changes the key that a readiness check reads and writes.
    pub(super) fn set_probe(&self, probe: String) {
        self.state.set_probe(probe);
    }

    /// Checks whether reads and writes succeed. `Some` is the reason why only reads succeed.
    pub(in crate::redis) async fn ready(&self) -> Result<Option<Outage>, Failure> {
        let current = self.state.current().map_err(Failure::Error)?;
        self.state.ready(&current).await.map_err(Failure::Redis)
    }

    /// Sets the clock by the server, if there is a connection.
    pub(super) async fn ask_time(&self, timekeeper: &Timekeeper) {
        if let Ok(current) = self.state.current() {
            timekeeper.ask(&mut current.connection.clone()).await;
        }
    }

    /// Sends a request. `asking` means that the node is importing the slot of the key. The rare paths are boxed, here
    /// and in the callers, because their state would otherwise enlarge the future of every request.
    pub(in crate::redis) async fn run(
        &self,
        request: &Request<'_>,
        mode: Mode,
        asking: bool,
    ) -> Result<Value, Failure> {
        let current = self.state.current().map_err(Failure::Error)?;
        if request.connection.is_some_and(|serial| serial != current.serial) {
            return Err(Failure::Error(Error::Unavailable(Outage::Unreachable)));
        }
        match mode {
            Mode::Shared => {
                let answer = request.send(&mut current.connection.clone(), asking).await;
                self.state.classify(answer, current.serial).map_err(Failure::Redis)
            }
            Mode::Replicated(wait, tag) => Box::pin(self.run_replicated(request, asking, &current, wait, tag)).await,
        }
    }

    async fn run_replicated(
        &self,
        request: &Request<'_>,
        asking: bool,
        current: &Current,
        wait: Wait,
        tag: Tag,
    ) -> Result<Value, Failure> {
        let exclusive = current.exclusive.as_ref().ok_or(Failure::Error(Error::Unavailable(Outage::Unreachable)))?;
        // The total stays below the second within which a client must get an answer.
        let deadline = Instant::now() + wait.timeout + RESPONSE_TIMEOUT;
        let is_current = || self.state.is_current(current.serial);
        let answer = match exclusive.write(request, asking, tag, deadline, is_current).await {
            Written::Replicated(answer) => answer,
            Written::NotReplicated(error) => {
                // A timeout of the replicas is no evidence against the primary.
                if let Some(error) = error.filter(|error| !error.is_timeout()) {
                    let _ = self.state.classify::<()>(Err(error), current.serial);
                }
                return Err(Failure::Error(Error::NotReplicated));
            }
            // A lack of free connections is no evidence against the primary either.
            Written::PoolExhausted => return Err(Failure::Error(Error::Overloaded)),
            Written::Failed(error) => {
                return self.state.classify(Err(error), current.serial).map_err(Failure::Redis);
            }
        };
        // The Sentinels are asked after the replicas have confirmed. A failover that starts later finds replicas with
        // the write.
        match timeout_at(deadline, self.source.confirms_primary(&current.server)).await {
            Ok(true) => self.state.classify(Ok(answer), current.serial).map_err(Failure::Redis),
            _ => Err(Failure::Error(Error::NotReplicated)),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}
