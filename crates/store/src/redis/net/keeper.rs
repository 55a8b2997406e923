//! The background task of a link, which connects, watches the connection, and reconnects.

use std::{fmt::Display, sync::Arc, time::Duration};

use auth_service_records::error::Outage;
use redis::{RedisError, RedisResult};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use super::{
    connection::{self, check_role},
    replicated::Exclusive,
    report::Trouble,
    server::Server,
    source::Source,
    state::{Current, State, why},
    timekeeper::Timekeeper,
};
use crate::{
    redis::{
        errors::{Reason, reason},
        keys::Keys,
    },
    settings::Wait,
};

/// How often a link checks its server. The check detects a lost, frozen or demoted server without any request.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(250);
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
/// The longest pause between two attempts to connect. It is short enough for a recovery within a second after Redis
/// returns.
const BACKOFF_LAST: Duration = Duration::from_millis(250);

/// The reason for the log when the library reports the end of the connection.
const CLOSED: &str = "the server closed the connection";
const MOVED: &str = "another server is the primary now";

/// Keeps one connection open.
pub(super) struct Keeper {
    pub(super) source: Source,
    /// `None` if writes do not wait for replicas.
    pub(super) wait: Option<(Wait, Keys)>,
    /// Sets the clock by the server, if given.
    pub(super) timekeeper: Option<Arc<Timekeeper>>,
    pub(super) state: Arc<State>,
}

impl Keeper {
    /// Runs forever. Notifies `tried` when the first attempt to connect has succeeded or failed.
    pub(super) async fn run(self, tried: watch::Sender<bool>) {
        let (mut backoff, mut before) = (BACKOFF_FIRST, None);
        for serial in 0.. {
            let lost = Arc::new(Notify::new());
            match self.connect(serial, Arc::clone(&lost)).await {
                Ok(current) => {
                    backoff = BACKOFF_FIRST;
                    self.state.install(Arc::clone(&current));
                    let address = current.server.addr().to_string();
                    self.state.report.connected(before.replace(address.clone()).as_deref(), address);
                    self.state.report.end(Trouble::Lost);
                    tried.send_replace(true);
                    let why = self.watch_over(&current, &lost).await;
                    self.state.drop_connection(serial, Outage::Unreachable, why.into());
                    self.state.report_drop();
                }
                Err((error, reason)) => {
                    self.state.report.begin(Trouble::Lost, reason);
                    self.state.stay_down(why(&error));
                    tried.send_replace(true);
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_LAST);
                }
            }
        }
    }

    /// Connects. An error has the reason for the log, which names the server that failed if Sentinels named it.
    async fn connect(&self, serial: u64, lost: Arc<Notify>) -> Result<Arc<Current>, (RedisError, Reason)> {
        let failure = |server: &dyn Display, error: RedisError| {
            let mut reason = reason(&error);
            if matches!(self.source, Source::Sentinels(_)) {
                reason = Reason::from(format!("{server}: {}", reason.text).as_str());
            }
            (error, reason)
        };
        let server = self.source.locate().await.map_err(|error| failure(&"Sentinel", error))?;
        self.connect_to(&server, serial, lost).await.map_err(|error| failure(server.addr(), error))
    }

    /// Connects, and sets the clock before the first request can use the connection.
    async fn connect_to(&self, server: &Server, serial: u64, lost: Arc<Notify>) -> RedisResult<Arc<Current>> {
        let mut connection = connection::connect(server, lost).await?;
        let exclusive = self.wait.clone().map(|(wait, keys)| Exclusive::new(server.clone(), wait, keys)).transpose()?;
        // A frozen primary answers when it wakes up. By then another server may be the primary.
        if self.source.has_moved(server).await {
            return Err(connection::no_primary(MOVED));
        }
        if let Some(timekeeper) = &self.timekeeper {
            timekeeper.ask(&mut connection).await;
        }
        Ok(Arc::new(Current { connection, server: server.clone(), exclusive, serial }))
    }

    /// Returns when the connection is lost, or when another server is the primary. The returned reason counts only if
    /// the state does not have one yet.
    async fn watch_over(&self, watched: &Current, lost: &Notify) -> &'static str {
        loop {
            tokio::select! {
                () = lost.notified() => return CLOSED,
                () = self.state.dropped.notified() => {}
                () = sleep(HEARTBEAT) => {
                    if self.beat(watched).await {
                        return MOVED;
                    }
                }
            }
            if !self.state.is_current(watched.serial) {
                return CLOSED;
            }
        }
    }

    /// Checks the role of the server, and asks for the time. After a refusal, also checks whether the server accepts
    /// commands again. Returns whether another server is the primary.
    async fn beat(&self, watched: &Current) -> bool {
        let mut connection = watched.connection.clone();
        let time = async {
            if let Some(timekeeper) = &self.timekeeper {
                timekeeper.ask(&mut watched.connection.clone()).await;
            }
        };
        let (alive, moved, ()) =
            tokio::join!(check_role(&mut connection), self.source.has_moved(&watched.server), time);
        match alive {
            // Drops the connection to a frozen primary before a failover replaces the primary. A frozen primary that
            // wakes up would accept writes that are then lost.
            Err(error) if error.is_timeout() => {
                self.state.drop_connection(watched.serial, Outage::Timeout, reason(&error));
            }
            // `classify` treats the answer like that of a request. The caller checks whether the connection is still
            // current.
            alive => drop(self.state.classify(alive, watched.serial)),
        }
        if self.state.report.has(Trouble::Refuses) && matches!(self.state.ready(watched).await, Ok(None)) {
            self.state.report.end_if_quiet(Trouble::Refuses);
        }
        moved
    }
}
