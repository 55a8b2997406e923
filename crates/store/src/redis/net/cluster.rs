//! Redis Cluster: the table of slots, and a link to each primary. The loss of one primary does not affect the users
//! of the other primaries. (The library's cluster connection stops all requests while it reconnects to one node.)

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use auth_service_records::error::{Error, Outage};
use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    address::Address,
    keeper::HEARTBEAT,
    link::Failure,
    nodes::Nodes,
    report::Reporter,
    request::{Mode, Request},
    table::Node,
    timekeeper::Timekeeper,
};
use crate::{
    redis::{errors::to_error, keys::Keys},
    settings::Wait,
};

/// How long a request follows the redirections of its slot.
const FOLLOW: Duration = Duration::from_millis(500);
/// The deadline of a whole request. A client must learn of an outage within a second, and our own work needs the rest.
const WHOLE: Duration = Duration::from_millis(900);
/// How often the table is read when nothing indicates a change.
const REREAD: Duration = Duration::from_secs(5);
/// The pause before a retry. While a slot moves, its keys are on neither node for a moment.
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// The links of one runtime to all primaries.
pub(in crate::redis) struct Cluster {
    nodes: Arc<Nodes>,
    /// The drop of the cluster ends these tasks.
    _keepers: JoinSet<()>,
}

impl Cluster {
    /// Returns when the first attempt to connect to each known primary has succeeded or failed.
    pub(in crate::redis) async fn start(
        address: Address,
        wait: Option<Wait>,
        keys: Keys,
        timekeeper: Arc<Timekeeper>,
        reporter: Arc<Reporter>,
    ) -> Self {
        let nodes = Arc::new(Nodes::new(address, wait, keys, timekeeper, reporter));
        nodes.reread().await;
        // The first read asks the seeds. The second read asks all nodes that the seeds have named.
        nodes.reread().await;
        let mut keepers = JoinSet::new();
        keepers.spawn(keep_table(Arc::clone(&nodes)));
        keepers.spawn(keep_time(Arc::clone(&nodes)));
        Self { nodes, _keepers: keepers }
    }

    /// Runs a request on keys of this slot.
    pub(in crate::redis) async fn run(&self, slot: u16, request: &Request<'_>, mode: Mode) -> Result<Value, Error> {
        let answer = timeout(WHOLE, self.follow(slot, request, mode)).await;
        answer.unwrap_or(Err(Error::Unavailable(Outage::Timeout)))
    }

    /// Sends the request, and follows the redirections of its slot.
    async fn follow(&self, slot: u16, request: &Request<'_>, mode: Mode) -> Result<Value, Error> {
        let until = Instant::now() + FOLLOW;
        let (mut redirected, mut asking, mut hops) = (None, false, 0);
        loop {
            let owner = redirected.take().or_else(|| self.nodes.table.borrow().owner(slot).cloned());
            let Some(node) = owner else {
                self.nodes.changed.notify_one();
                return Err(Error::Unavailable(Outage::Unreachable));
            };
            let error = match node.link.run(request, mode, asking).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Redis(error)) if Instant::now() < until => error,
                Err(failure) => {
                    self.nodes.changed.notify_one();
                    return Err(failure.into());
                }
            };
            asking = false;
            match error.kind() {
                ErrorKind::Server(ServerErrorKind::Moved) => {
                    self.nodes.changed.notify_one();
                    redirected = self.redirection(&error, &node, until).await;
                }
                ErrorKind::Server(ServerErrorKind::Ask) => {
                    redirected = self.redirection(&error, &node, until).await;
                    asking = redirected.is_some();
                }
                ErrorKind::Server(ServerErrorKind::TryAgain) => {}
                kind => {
                    if kind == ErrorKind::Server(ServerErrorKind::ClusterDown) {
                        self.nodes.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(node.name);
                    }
                    self.nodes.changed.notify_one();
                    return Err(to_error(&error));
                }
            }
            hops += 1;
            // Two nodes may redirect to each other until both know the new owner.
            if redirected.is_none() || hops > 1 {
                sleep(TRY_AGAIN).await;
            }
        }
    }

    /// Succeeds if at least one primary accepts writes, or else reads, because the loss of one primary must not affect
    /// the users of the others. `Some` is the reason why all writes fail.
    pub(in crate::redis) async fn ready(&self) -> Result<Option<Outage>, Error> {
        let nodes = self.nodes.table.borrow().nodes.clone();
        let mut probes: JoinSet<_> = nodes.into_iter().map(|node| async move { node.link.ready().await }).collect();
        let mut best = Err(Error::Unavailable(Outage::Unreachable));
        while let Some(answer) = probes.join_next().await {
            match answer {
                Ok(Ok(None)) => return Ok(None),
                Ok(Ok(reads_only)) => best = Ok(reads_only),
                Ok(Err(failure)) if best.is_err() => best = Err(failure.into()),
                _ => {}
            }
        }
        best
    }

    async fn redirection(&self, error: &RedisError, from: &Node, until: Instant) -> Option<Node> {
        let (name, _) = error.redirect_node()?;
        let node = self.nodes.other(name, from)?;
        // The link of a new node has to connect first.
        let _ = timeout_at(until, node.link.tried()).await;
        Some(node)
    }
}

/// Reads the table again at intervals, more often while a node is down, and at once when a request indicates a change.
async fn keep_table(nodes: Arc<Nodes>) {
    loop {
        tokio::select! {
            () = nodes.changed.notified() => {}
            () = sleep(if nodes.are_complete() { REREAD } else { HEARTBEAT }) => {}
        }
        nodes.reread().await;
        // Limits the rate of reads, no matter how many requests ask for one.
        sleep(Duration::from_millis(20)).await;
    }
}

/// Sets the clock at intervals.
async fn keep_time(nodes: Arc<Nodes>) {
    loop {
        sleep(HEARTBEAT).await;
        nodes.ask_time().await;
    }
}
