//! Says in the log why a server cannot be used, and how long that lasted. All connections of the process share one
//! line. Also counts the connections that replace others, and the failovers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::primaries::Primaries;
use crate::{metrics::Metrics, redis::errors::Reason};

/// The shortest time between two lines about one trouble. It doubles with each line, so that two reasons that alternate
/// do not fill the log.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(64);
/// The time without a refusal after which commands are no longer refused. A server whose memory is nearly full accepts
/// one command and refuses the next one.
const QUIET: Duration = Duration::from_secs(2);
/// The same for a missing permission, because no probe knows all commands.
const QUIET_PERMISSION: Duration = Duration::from_secs(60);

/// What is wrong with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// There is no usable connection.
    Lost,
    /// The server answers, but refuses commands.
    Refuses,
}

/// The troubles of all servers, by kind and name of the server.
#[derive(Default)]
pub(in crate::redis) struct Reporter {
    open: Mutex<BTreeMap<(Trouble, String), Episode>>,
    connections: AtomicU64,
    primaries: Primaries,
    metrics: Metrics,
}

/// A trouble from its start to its end.
struct Episode {
    since: Instant,
    reason: Reason,
    last_seen: Instant,
    last_line: Instant,
    pause: Duration,
    /// The connections that have the trouble.
    connections: BTreeSet<u64>,
}

impl Reporter {
    /// Whether no server has a trouble.
    pub(in crate::redis) fn is_well(&self) -> bool {
        self.lock().is_empty()
    }

    pub(in crate::redis) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Counts a failover, unless the server has replaced itself, or another connection has reported the failover.
    pub(super) fn replaced(&self, from: &str, to: String) {
        if self.primaries.replace(from, to) {
            self.metrics.failovers.inc();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Trouble, String), Episode>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reports of one connection to a server. Its drop ends them.
pub(in crate::redis) struct Report {
    reporter: Arc<Reporter>,
    server: String,
    connection: u64,
}

impl Report {
    /// The reports of a new connection to `server`.
    pub(in crate::redis) fn new(reporter: &Arc<Reporter>, server: String) -> Self {
        let connection = reporter.connections.fetch_add(1, Ordering::Relaxed);
        Self { reporter: Arc::clone(reporter), server, connection }
    }

    /// Counts an open connection to the server at `address`. The previous connection, if any, was to the server at
    /// `before`.
    pub(super) fn connected(&self, before: Option<&str>, address: String) {
        match before {
            None => self.reporter.primaries.add(address),
            Some(before) => {
                self.reporter.metrics.reconnects.inc();
                self.reporter.replaced(before, address);
            }
        }
    }

    /// Logs a line if the trouble is new, or has another reason than before.
    pub(super) fn begin(&self, trouble: Trouble, reason: Reason) {
        let (server, now) = (&self.server, Instant::now());
        let mut open = self.reporter.lock();
        let Some(episode) = open.get_mut(&(trouble, server.clone())) else {
            match trouble {
                Trouble::Lost => tracing::warn!("Redis at {server} cannot be used: {}; trying again", reason.text),
                Trouble::Refuses => tracing::warn!("Redis at {server} refuses commands: {}", reason.text),
            }
            let connections = BTreeSet::from([self.connection]);
            let episode =
                Episode { since: now, reason, last_seen: now, last_line: now, pause: FIRST_PAUSE, connections };
            open.insert((trouble, server.clone()), episode);
            return;
        };
        episode.last_seen = now;
        episode.connections.insert(self.connection);
        if episode.reason.kind == reason.kind || now - episode.last_line < episode.pause {
            return;
        }
        match trouble {
            Trouble::Lost => tracing::warn!("Redis at {server} still cannot be used, now: {}", reason.text),
            Trouble::Refuses => tracing::warn!("Redis at {server} still refuses commands, now: {}", reason.text),
        }
        episode.reason = reason;
        episode.last_line = now;
        episode.pause = (episode.pause * 2).min(LAST_PAUSE);
    }

    /// Logs a line if no other connection has the trouble.
    pub(super) fn end(&self, trouble: Trouble) {
        let Some(lasted) = self.close(trouble) else { return };
        let (server, seconds) = (&self.server, lasted.as_secs_f64());
        match trouble {
            Trouble::Lost => tracing::info!("Redis at {server} can be used again, after {seconds:.1} s"),
            Trouble::Refuses => tracing::info!("Redis at {server} accepts commands again, after {seconds:.1} s"),
        }
    }

    /// Like [`Report::end`], unless a command was refused a moment ago.
    pub(super) fn end_if_quiet(&self, trouble: Trouble) {
        let is_quiet = self.reporter.lock().get(&(trouble, self.server.clone())).is_some_and(|episode| {
            let quiet = if episode.reason.kind == "NOPERM" { QUIET_PERMISSION } else { QUIET };
            episode.last_seen.elapsed() >= quiet
        });
        if is_quiet {
            self.end(trouble);
        }
    }

    /// Whether this connection has the trouble.
    pub(super) fn has(&self, trouble: Trouble) -> bool {
        let open = self.reporter.lock();
        open.get(&(trouble, self.server.clone())).is_some_and(|episode| episode.connections.contains(&self.connection))
    }

    /// Returns how long the trouble lasted, if this connection was the last one that had it.
    fn close(&self, trouble: Trouble) -> Option<Duration> {
        let mut open = self.reporter.lock();
        let key = (trouble, self.server.clone());
        let episode = open.get_mut(&key)?;
        let is_over = episode.connections.remove(&self.connection) && episode.connections.is_empty();
        let lasted = is_over.then(|| episode.since.elapsed());
        if is_over {
            open.remove(&key);
        }
        lasted
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.close(Trouble::Refuses);
        if self.close(Trouble::Lost).is_some() {
            tracing::info!("Redis at {} is no longer used", self.server);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reason of the open trouble.
    fn said(reporter: &Reporter) -> Option<String> {
        reporter.lock().get(&(Trouble::Lost, "a".to_owned())).map(|episode| episode.reason.text.clone())
    }

    /// As if the last line were older.
    fn let_time_pass(reporter: &Reporter) {
        for episode in reporter.lock().values_mut() {
            episode.last_line -= LAST_PAUSE;
        }
    }

    #[test]
    fn a_trouble_lasts_until_the_last_connection_is_back() {
        let reporter = Arc::new(Reporter::default());
        let [first, second] = [0, 1].map(|_| Report::new(&reporter, "a".to_owned()));
        first.begin(Trouble::Lost, "refused".into());
        second.begin(Trouble::Lost, "refused".into());
        first.end(Trouble::Lost);
        assert_eq!((first.has(Trouble::Lost), second.has(Trouble::Lost)), (false, true));
        assert_eq!(said(&reporter).as_deref(), Some("refused"));
        drop(second);
        assert_eq!(said(&reporter), None);
    }

    #[test]
    fn another_reason_is_said_after_a_pause() {
        let reporter = Arc::new(Reporter::default());
        let report = Report::new(&reporter, "a".to_owned());
        report.begin(Trouble::Lost, "closed".into());
        report.begin(Trouble::Lost, "refused".into());
        assert_eq!(said(&reporter).as_deref(), Some("closed"));
        let_time_pass(&reporter);
        report.begin(Trouble::Lost, "refused".into());
        assert_eq!(said(&reporter).as_deref(), Some("refused"));
    }
}
