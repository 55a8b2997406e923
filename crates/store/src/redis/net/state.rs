//! The current connection of a link, the rule for when a connection counts as dead, and the readiness check.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use auth_service_records::error::{Error, Outage};
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, aio::MultiplexedConnection};
use tokio::sync::Notify;

use super::{
    connection::is_read_only,
    replicated::Exclusive,
    report::{Report, Trouble},
    request::Request,
    server::Server,
};
use crate::redis::errors::{Reason, is_refusal, outage, reason};

/// Life of the key that a readiness check writes, in milliseconds.
const PROBE_MILLIS: u64 = 1_000;
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
    /// Why the connection was dropped, until the log says so.
    dropped_because: Mutex<Option<Reason>>,
    /// The key that a readiness check reads and writes.
    probe: Mutex<String>,
    pub(super) report: Report,
}

/// One connection.
pub(super) struct Current {
    pub(super) connection: MultiplexedConnection,
    pub(super) server: Server,
    /// Connections to the same server, if writes wait for replicas.
    pub(super) exclusive: Option<Exclusive>,
    /// Identifies the connection, so that a late error on an old connection does not drop the new one.
    pub(super) serial: u64,
}

impl State {
    /// No connection yet.
    pub(super) fn new(probe: String, report: Report) -> Self {
        Self {
            current: Mutex::new(Err(Outage::Unreachable)),
            timeouts: AtomicU32::new(0),
            dropped: Notify::new(),
            dropped_because: Mutex::default(),
            probe: Mutex::new(probe),
            report,
        }
    }

    /// Changes the key that a readiness check reads and writes.
    pub(super) fn set_probe(&self, probe: String) {
        *self.probe.lock().unwrap_or_else(PoisonError::into_inner) = probe;
    }

    /// Checks reads, and then writes. `Some` is the reason why only reads succeed.
    pub(super) async fn ready(&self, current: &Current) -> RedisResult<Option<Outage>> {
        let probe = self.probe.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let read = Request::command("MGET").arg(&probe);
        let write = Request::command("SET").arg(&probe).arg(1).arg("PX").arg(PROBE_MILLIS);
        let mut connection = current.connection.clone();
        self.classify(read.send(&mut connection, false).await, current.serial)?;
        match self.classify(write.send(&mut connection, false).await, current.serial) {
            Ok(_) => Ok(None),
            Err(error) => match outage(&error) {
                Some(outage) if outage.spares_reads() => Ok(Some(outage)),
                _ => Err(error),
            },
        }
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
            self.drop_connection(serial, why(&error), reason(&error));
        } else if is_refusal(&error) {
            self.report.begin(Trouble::Refuses, reason(&error));
        }
        Err(error)
    }

    pub(super) fn drop_connection(&self, serial: u64, why: Outage, reason: Reason) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_ok_and(|current| current.serial == serial) {
            *current = Err(why);
            *self.dropped_because.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
            self.dropped.notify_one();
        }
    }

    /// Logs why the connection was dropped.
    pub(super) fn report_drop(&self) {
        let reason = self.dropped_because.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reason) = reason {
            self.report.begin(Trouble::Lost, reason);
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
