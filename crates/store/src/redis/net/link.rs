//! A connection to one Redis server. Only this module reconnects and judges timeouts.
//!
//! A [`Link`] is the shared multiplexed connection of one runtime to a primary. The library's own connection never
//! reconnects after a loss, and its `ConnectionManager` never gives up a black-holed connection. Therefore a background
//! task owns the connection here and reconnects. Requests fail at once while there is no connection. A write that waits
//! for replicas uses a connection of its own.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use auth_service_records::error::{Error, Outage};
use auth_service_token::Id;
use redis::{ConnectionInfo, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{Instant, sleep, timeout_at},
};

use super::{
    connection::{self, RESPONSE_TIMEOUT, check_role, reason},
    replicated::{Exclusive, Written},
    request::{Mode, Request},
    source::Source,
};
use crate::{
    redis::{
        errors::{outage, to_error},
        keys::Keys,
    },
    settings::Wait,
};

/// How often a link checks its server. The check detects a lost, frozen or demoted server without any request.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(250);
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
/// The longest pause between two attempts to connect. It is short enough for a recovery within a second of Redis'
/// return.
const BACKOFF_LAST: Duration = Duration::from_millis(250);
/// After this many timeouts in a row the connection counts as dead. A single slow answer does not matter.
const TIMEOUTS_IN_A_ROW: u32 = 2;

/// The outage that requests report while there is no connection.
fn why(error: &RedisError) -> Outage {
    outage(error).unwrap_or(Outage::Refused)
}

/// The shared connection of one runtime to one server. Dropping the link closes the connection.
pub(in crate::redis) struct Link {
    source: Source,
    state: Arc<State>,
    tried: watch::Receiver<bool>,
    keeper: AbortHandle,
}

struct State {
    /// The connection, or the reason why there is none.
    current: Mutex<Result<Arc<Current>, Outage>>,
    timeouts: AtomicU32,
    lost: Notify,
}

struct Current {
    connection: MultiplexedConnection,
    info: ConnectionInfo,
    /// Connections to the same server, if writes wait for replicas.
    exclusive: Option<Exclusive>,
    /// Identifies the connection, so that a late error on an old connection does not drop the new one.
    serial: u64,
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
    /// Starts to connect in the background. With `wait`, the link can send writes that wait for replicas.
    pub(in crate::redis) fn start(source: Source, wait: Option<Wait>, keys: Keys) -> Self {
        let state = Arc::new(State {
            current: Mutex::new(Err(Outage::Unreachable)),
            timeouts: AtomicU32::new(0),
            lost: Notify::new(),
        });
        let (sender, tried) = watch::channel(false);
        let keeper = tokio::spawn(keep(source.clone(), wait.map(|wait| (wait, keys)), Arc::clone(&state), sender))
            .abort_handle();
        Self { source, state, tried, keeper }
    }

    /// Returns when the first attempt to connect has succeeded or failed.
    pub(in crate::redis) async fn tried(&self) {
        // The background task ends only together with the runtime, so an error needs no handling.
        let _ = self.tried.clone().wait_for(|tried| *tried).await;
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.current().is_ok()
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
        match mode {
            Mode::Shared => {
                let answer = request.send(&mut current.connection.clone(), asking).await;
                self.state.judge(answer, current.serial).map_err(Failure::Redis)
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
        tag: Id,
    ) -> Result<Value, Failure> {
        let exclusive = current.exclusive.as_ref().ok_or(Failure::Error(Error::Unavailable(Outage::Refused)))?;
        // The total stays below the second within which a client must get an answer.
        let deadline = Instant::now() + wait.timeout + RESPONSE_TIMEOUT;
        let is_current = || self.state.is_current(current.serial);
        let answer = match exclusive.write(request, asking, tag, deadline, is_current).await {
            Written::Replicated(answer) => answer,
            Written::NotReplicated(error) => {
                // A timeout of the replicas is no evidence against the primary.
                if let Some(error) = error.filter(|error| !error.is_timeout()) {
                    let _ = self.state.judge::<()>(Err(error), current.serial);
                }
                return Err(Failure::Error(Error::NotReplicated));
            }
            // A lack of free connections is no evidence against the primary either.
            Written::Busy => return Err(Failure::Error(Error::Overloaded)),
            Written::Failed(error) => {
                return self.state.judge(Err(error), current.serial).map_err(Failure::Redis);
            }
        };
        // The Sentinels are asked after the replicas have confirmed. A failover that starts later finds replicas with
        // the write.
        match timeout_at(deadline, self.source.vouches_for(&current.info)).await {
            Ok(true) => self.state.judge(Ok(answer), current.serial).map_err(Failure::Redis),
            _ => Err(Failure::Error(Error::NotReplicated)),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl State {
    fn current(&self) -> Result<Arc<Current>, Error> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone().map_err(Error::Unavailable)
    }

    fn is_current(&self, serial: u64) -> bool {
        self.current().is_ok_and(|current| current.serial == serial)
    }

    /// Drops the connection if the error shows that it is dead, so that the next request does not wait for it.
    fn judge<T>(&self, answer: RedisResult<T>, serial: u64) -> RedisResult<T> {
        let error = match answer {
            Ok(value) => {
                self.timeouts.store(0, Ordering::Relaxed);
                return Ok(value);
            }
            Err(error) => error,
        };
        let dead = if error.is_timeout() {
            self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= TIMEOUTS_IN_A_ROW
        } else {
            // NOPERM does not count: it concerns one command, and a new connection would get the same error.
            error.is_unrecoverable_error()
                || connection::is_read_only(&error)
                || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
                || error.kind() == ErrorKind::Server(ServerErrorKind::MasterDown)
        };
        if dead {
            tracing::debug!(error = reason(&error), "connection to Redis dropped");
            self.drop_connection(serial, why(&error));
        }
        Err(error)
    }

    fn drop_connection(&self, serial: u64, why: Outage) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_ok_and(|current| current.serial == serial) {
            *current = Err(why);
            self.lost.notify_one();
        }
    }

    fn stay_down(&self, why: Outage) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Err(why);
    }

    fn install(&self, current: Arc<Current>) {
        self.timeouts.store(0, Ordering::Relaxed);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Ok(current);
    }
}

/// Keeps one connection open for ever: connects, watches the connection, and reconnects.
async fn keep(source: Source, wait: Option<(Wait, Keys)>, state: Arc<State>, tried: watch::Sender<bool>) {
    let mut backoff = BACKOFF_FIRST;
    let mut reported = false;
    for serial in 0.. {
        let lost = Arc::new(Notify::new());
        let connected = async {
            let info = source.locate().await?;
            let connection = connection::connect(info.clone(), Arc::clone(&lost)).await?;
            let exclusive = wait.clone().map(|(wait, keys)| Exclusive::new(info.clone(), wait, keys)).transpose()?;
            // A frozen primary answers when it wakes up. By then another server may be the primary.
            if source.has_moved(&info).await {
                return Err(connection::no_primary("another server is the primary by now"));
            }
            Ok(Arc::new(Current { connection, info, exclusive, serial }))
        };
        match connected.await {
            Ok(current) => {
                if reported {
                    tracing::info!("Redis at {} is back", current.info.addr());
                }
                backoff = BACKOFF_FIRST;
                state.install(Arc::clone(&current));
                tried.send_replace(true);
                watch_over(&current, &source, &state, &lost).await;
                state.drop_connection(serial, Outage::Unreachable);
                tracing::warn!("the connection to Redis at {} is lost, reconnecting", current.info.addr());
                reported = true;
            }
            Err(error) => {
                if !reported {
                    tracing::warn!(error = reason(&error), "Redis cannot be used, trying again until it can");
                    reported = true;
                }
                state.stay_down(why(&error));
                tried.send_replace(true);
                sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF_LAST);
            }
        }
    }
}

/// Returns when the connection is lost, or when another server is the primary.
async fn watch_over(watched: &Current, source: &Source, state: &State, lost: &Notify) {
    let mut connection = watched.connection.clone();
    loop {
        tokio::select! {
            () = lost.notified() => return,
            () = state.lost.notified() => {}
            () = sleep(HEARTBEAT) => {
                let (alive, moved) = tokio::join!(check_role(&mut connection), source.has_moved(&watched.info));
                match alive {
                    // Leave a frozen primary before a failover replaces it. When it wakes up, it would accept writes
                    // that are then lost.
                    Err(error) if error.is_timeout() => state.drop_connection(watched.serial, Outage::Timeout),
                    // `judge` treats the answer like that of a request. `is_current` below reads the verdict.
                    alive => drop(state.judge(alive, watched.serial)),
                }
                if moved {
                    return;
                }
            }
        }
        if !state.is_current(watched.serial) {
            return;
        }
    }
}
