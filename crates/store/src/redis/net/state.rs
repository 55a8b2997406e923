//! The current connection of a link, and the rule for when a connection counts as dead.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use auth_service_records::error::{Error, Outage};
use redis::{ConnectionInfo, ErrorKind, RedisError, RedisResult, ServerErrorKind, aio::MultiplexedConnection};
use tokio::sync::Notify;

use super::{
    connection::{is_read_only, reason},
    replicated::Exclusive,
};
use crate::redis::errors::outage;

/// After this many timeouts in a row the connection counts as dead. A single slow answer does not matter.
const TIMEOUTS_IN_A_ROW: u32 = 2;

/// The outage that requests report while there is no connection.
pub(super) fn why(error: &RedisError) -> Outage {
    outage(error).unwrap_or(Outage::Refused)
}

/// The connection of a link, which may be missing at times.
pub(super) struct State {
    /// The connection, or the reason why there is none.
    current: Mutex<Result<Arc<Current>, Outage>>,
    timeouts: AtomicU32,
    /// Notified when the connection is dropped.
    pub(super) dropped: Notify,
}

/// One connection.
pub(super) struct Current {
    pub(super) connection: MultiplexedConnection,
    pub(super) info: ConnectionInfo,
    /// Connections to the same server, if writes wait for replicas.
    pub(super) exclusive: Option<Exclusive>,
    /// Identifies the connection, so that a late error on an old connection does not drop the new one.
    pub(super) serial: u64,
}

impl State {
    /// No connection yet.
    pub(super) fn new() -> Self {
        Self { current: Mutex::new(Err(Outage::Unreachable)), timeouts: AtomicU32::new(0), dropped: Notify::new() }
    }

    pub(super) fn current(&self) -> Result<Arc<Current>, Error> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone().map_err(Error::Unavailable)
    }

    pub(super) fn is_current(&self, serial: u64) -> bool {
        self.current().is_ok_and(|current| current.serial == serial)
    }

    /// Returns the answer unchanged. If the answer shows that the connection is dead, drops the connection, so that the
    /// next request does not wait for it.
    pub(super) fn classify<T>(&self, answer: RedisResult<T>, serial: u64) -> RedisResult<T> {
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
                || is_read_only(&error)
                || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
                || error.kind() == ErrorKind::Server(ServerErrorKind::MasterDown)
        };
        if dead {
            tracing::debug!(error = reason(&error), "connection to Redis dropped");
            self.drop_connection(serial, why(&error));
        }
        Err(error)
    }

    pub(super) fn drop_connection(&self, serial: u64, why: Outage) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_ok_and(|current| current.serial == serial) {
            *current = Err(why);
            self.dropped.notify_one();
        }
    }

    pub(super) fn stay_down(&self, why: Outage) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Err(why);
    }

    pub(super) fn install(&self, current: Arc<Current>) {
        self.timeouts.store(0, Ordering::Relaxed);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Ok(current);
    }
}
