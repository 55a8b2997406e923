//! A connection to one Redis server, kept up: the one place where timeouts and reconnecting are known.
//!
//! A [`Link`] is one runtime's shared multiplexed connection to a primary. The library's own connection never comes back
//! once it is lost, and its `ConnectionManager` never leaves a black-holed one, so a background task here owns it: while
//! it is down requests fail at once, and one task reconnects. Writes that wait for replicas get connections of their own.

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

/// Finds a lost, frozen or demoted server while nobody asks.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(250);
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
/// Low enough that service is back within a second of Redis' return.
const BACKOFF_LAST: Duration = Duration::from_millis(250);
/// One slow answer is a hiccup; this many in a row are a dead connection.
const TIMEOUTS_IN_A_ROW: u32 = 2;

/// What requests hear while there is no connection.
fn why(error: &RedisError) -> Outage {
    outage(error).unwrap_or(Outage::Refused)
}

/// One runtime's shared connection to one server; dropping the link ends it.
pub(in crate::redis) struct Link {
    source: Source,
    state: Arc<State>,
    tried: watch::Receiver<bool>,
    keeper: AbortHandle,
}

struct State {
    /// While there is no connection: why.
    current: Mutex<Result<Arc<Current>, Outage>>,
    timeouts: AtomicU32,
    lost: Notify,
}

struct Current {
    connection: MultiplexedConnection,
    info: ConnectionInfo,
    /// To the same server, if writes wait for replicas.
    exclusive: Option<Exclusive>,
    /// Tells connections apart, so that a late error of an old one does not cost the new one its life.
    serial: u64,
}

/// Why there is no answer.
pub(in crate::redis) enum Failure {
    /// There is no connection, or replicas did not follow.
    Error(Error),
    /// The server's or the connection's.
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
    /// Begins to connect. With `wait`, writes can be sent that wait for replicas.
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

    /// Returns once the first attempt to connect has ended, well or not.
    pub(in crate::redis) async fn tried(&self) {
        // An error means that the task has ended, which it does only with the runtime.
        let _ = self.tried.clone().wait_for(|tried| *tried).await;
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.current().is_ok()
    }

    /// With `asking`, on the node that is taking over the key's slot. What is seldom needed is on the heap, here and in
    /// the callers: it would else be room in the future of each request, which is made and moved anew each time.
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
        // As a whole below the second within which a client is to hear.
        let deadline = Instant::now() + wait.timeout + RESPONSE_TIMEOUT;
        let is_current = || self.state.is_current(current.serial);
        let answer = match exclusive.write(request, asking, tag, deadline, is_current).await {
            Written::Replicated(answer) => answer,
            Written::NotReplicated(error) => {
                // Replicas that are slow say nothing of the primary.
                if let Some(error) = error.filter(|error| !error.is_timeout()) {
                    let _ = self.state.judge::<()>(Err(error), current.serial);
                }
                return Err(Failure::Error(Error::NotReplicated));
            }
            // Nor does it if all of our connections are in use.
            Written::Busy => return Err(Failure::Error(Error::Overloaded)),
            Written::Failed(error) => {
                return self.state.judge(Err(error), current.serial).map_err(Failure::Redis);
            }
        };
        // Asked after the replicas have confirmed: what begins later begins with replicas that have the write.
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

    /// Drops a connection that will not serve again, so that the next request does not wait on it.
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
            // Not NOPERM: it is about one command, and another connection would hear the same.
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

/// Keeps one connection up, for ever.
async fn keep(source: Source, wait: Option<(Wait, Keys)>, state: Arc<State>, tried: watch::Sender<bool>) {
    let mut backoff = BACKOFF_FIRST;
    let mut reported = false;
    for serial in 0.. {
        let lost = Arc::new(Notify::new());
        let connected = async {
            let info = source.locate().await?;
            let connection = connection::connect(info.clone(), Arc::clone(&lost)).await?;
            let exclusive = wait.clone().map(|(wait, keys)| Exclusive::new(info.clone(), wait, keys)).transpose()?;
            // One that was frozen answers when it wakes up, which may be after another has taken its place.
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

/// Returns when the connection is of no more use.
async fn watch_over(watched: &Current, source: &Source, state: &State, lost: &Notify) {
    let mut connection = watched.connection.clone();
    loop {
        tokio::select! {
            () = lost.notified() => return,
            () = state.lost.notified() => {}
            () = sleep(HEARTBEAT) => {
                let (alive, moved) = tokio::join!(check_role(&mut connection), source.has_moved(&watched.info));
                match alive {
                    // A frozen primary must be left before another one takes its place: when it wakes up it would take
                    // writes that are lost.
                    Err(error) if error.is_timeout() => state.drop_connection(watched.serial, Outage::Timeout),
                    // Judged like a request's; what it decides is read below.
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
