//! The background task of a link, which connects, watches the connection, and reconnects.

use std::{sync::Arc, time::Duration};

use auth_service_records::error::Outage;
use redis::RedisResult;
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use super::{
    connection::{self, check_role, reason},
    replicated::Exclusive,
    source::Source,
    state::{Current, State, why},
    timekeeper::Timekeeper,
};
use crate::{redis::keys::Keys, settings::Wait};

/// How often a link checks its server. The check detects a lost, frozen or demoted server without any request.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(250);
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
/// The longest pause between two attempts to connect. It is short enough for a recovery within a second after Redis
/// returns.
const BACKOFF_LAST: Duration = Duration::from_millis(250);

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
        let mut backoff = BACKOFF_FIRST;
        let mut reported = false;
        for serial in 0.. {
            let lost = Arc::new(Notify::new());
            match self.connect(serial, Arc::clone(&lost)).await {
                Ok(current) => {
                    if reported {
                        tracing::info!("Redis at {} is back", current.info.addr());
                    }
                    backoff = BACKOFF_FIRST;
                    self.state.install(Arc::clone(&current));
                    tried.send_replace(true);
                    self.watch_over(&current, &lost).await;
                    self.state.drop_connection(serial, Outage::Unreachable);
                    tracing::warn!("the connection to Redis at {} is lost, reconnecting", current.info.addr());
                    reported = true;
                }
                Err(error) => {
                    if !reported {
                        tracing::warn!(error = reason(&error), "Redis cannot be used, retrying");
                        reported = true;
                    }
                    self.state.stay_down(why(&error));
                    tried.send_replace(true);
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_LAST);
                }
            }
        }
    }

    /// Connects, and sets the clock before the first request can use the connection.
    async fn connect(&self, serial: u64, lost: Arc<Notify>) -> RedisResult<Arc<Current>> {
        let info = self.source.locate().await?;
        let mut connection = connection::connect(info.clone(), lost).await?;
        let exclusive = self.wait.clone().map(|(wait, keys)| Exclusive::new(info.clone(), wait, keys)).transpose()?;
        // A frozen primary answers when it wakes up. By then another server may be the primary.
        if self.source.has_moved(&info).await {
            return Err(connection::no_primary("another server is the primary now"));
        }
        if let Some(timekeeper) = &self.timekeeper {
            timekeeper.ask(&mut connection).await;
        }
        Ok(Arc::new(Current { connection, info, exclusive, serial }))
    }

    /// Returns when the connection is lost, or when another server is the primary.
    async fn watch_over(&self, watched: &Current, lost: &Notify) {
        loop {
            tokio::select! {
                () = lost.notified() => return,
                () = self.state.dropped.notified() => {}
                () = sleep(HEARTBEAT) => {
                    if self.beat(watched).await {
                        return;
                    }
                }
            }
            if !self.state.is_current(watched.serial) {
                return;
            }
        }
    }

    /// Checks the role of the server, and asks for the time. Returns whether another server is the primary.
    async fn beat(&self, watched: &Current) -> bool {
        let mut connection = watched.connection.clone();
        let time = async {
            if let Some(timekeeper) = &self.timekeeper {
                timekeeper.ask(&mut watched.connection.clone()).await;
            }
        };
        let (alive, moved, ()) = tokio::join!(check_role(&mut connection), self.source.has_moved(&watched.info), time);
        match alive {
            // Drops the connection to a frozen primary before a failover replaces the primary. A frozen primary that
            // wakes up would accept writes that are then lost.
            Err(error) if error.is_timeout() => self.state.drop_connection(watched.serial, Outage::Timeout),
            // `classify` treats the answer like that of a request. The caller checks whether the connection is still
            // current.
            alive => drop(self.state.classify(alive, watched.serial)),
        }
        moved
    }
}
