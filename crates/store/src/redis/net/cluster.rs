//! Redis Cluster: the table of slots, and a [`Link`] to each primary. The loss of one primary does not affect the users
//! of the other primaries. (The library's cluster connection stops all requests while it reconnects to one node.)

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use auth_service_records::{
    clock::Clock,
    error::{Error, Outage},
};
use auth_service_token::Id;
use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::{
    sync::{Notify, watch},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    address::Address,
    link::{Failure, HEARTBEAT, Link},
    request::{Mode, Request},
    slots::{self, Ranges},
    source::Source,
    table::{Node, Table},
    timekeeper::Samples,
};
use crate::{
    redis::{errors::to_error, keys::Keys, slot::slot},
    settings::Wait,
};

/// How long a request follows the redirections of its slot.
const FOLLOW: Duration = Duration::from_millis(500);
/// The deadline of a whole request. A client must hear of an outage within a second, and our own work needs the rest.
const WHOLE: Duration = Duration::from_millis(900);
/// How often the table is read when nothing indicates a change.
const REREAD: Duration = Duration::from_secs(5);
/// The pause before a retry. While a slot moves, its keys are on neither node for a moment.
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// The links of one runtime to all primaries.
pub(in crate::redis) struct Cluster {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

struct Shared {
    address: Address,
    wait: Option<Wait>,
    keys: Keys,
    table: watch::Sender<Arc<Table>>,
    changed: Notify,
    /// Nodes that a redirection has named and that are not in the table.
    others: Mutex<Vec<Node>>,
    /// Names of nodes that have answered CLUSTERDOWN since the last read of the table. Such a node has lost the other
    /// nodes, so its table is outdated.
    lost: Mutex<BTreeSet<String>>,
}

impl Cluster {
    /// Returns when the first attempt to connect to each known primary has succeeded or failed.
    pub(in crate::redis) async fn start(address: Address, wait: Option<Wait>, keys: Keys, clock: Clock) -> Self {
        let shared = Arc::new(Shared {
            address,
            wait,
            keys,
            table: watch::Sender::new(Arc::default()),
            changed: Notify::new(),
            others: Mutex::default(),
            lost: Mutex::default(),
        });
        shared.reread().await;
        // The first read asks the seeds. The second read asks all nodes that the seeds have named.
        shared.reread().await;
        let mut samples = Samples::new(clock);
        shared.ask_time(&mut samples).await;
        let keeper = tokio::spawn(keep(Arc::clone(&shared), samples)).abort_handle();
        Self { shared, keeper }
    }

    pub(in crate::redis) async fn run(&self, tag: Id, request: &Request<'_>, mode: Mode) -> Result<Value, Error> {
        let answer = timeout(WHOLE, self.follow(slot(tag), request, mode)).await;
        answer.unwrap_or(Err(Error::Unavailable(Outage::Timeout)))
    }

    /// Sends the request, and follows the redirections of its slot.
    async fn follow(&self, slot: u16, request: &Request<'_>, mode: Mode) -> Result<Value, Error> {
        let until = Instant::now() + FOLLOW;
        let (mut redirected, mut asking, mut hops) = (None, false, 0);
        loop {
            let owner = redirected.take().or_else(|| self.shared.table.borrow().owner(slot).cloned());
            let Some(node) = owner else {
                self.shared.changed.notify_one();
                return Err(Error::Unavailable(Outage::Unreachable));
            };
            let error = match node.link.run(request, mode, asking).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Redis(error)) if Instant::now() < until => error,
                Err(failure) => {
                    self.shared.changed.notify_one();
                    return Err(failure.into());
                }
            };
            asking = false;
            match error.kind() {
                ErrorKind::Server(ServerErrorKind::Moved) => {
                    self.shared.changed.notify_one();
                    redirected = self.redirection(&error, &node, until).await;
                }
                ErrorKind::Server(ServerErrorKind::Ask) => {
                    redirected = self.redirection(&error, &node, until).await;
                    asking = redirected.is_some();
                }
                ErrorKind::Server(ServerErrorKind::TryAgain) => {}
                kind => {
                    if kind == ErrorKind::Server(ServerErrorKind::ClusterDown) {
                        self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(node.name);
                    }
                    self.shared.changed.notify_one();
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

    /// Succeeds if at least one primary takes writes. The loss of one primary must not take the users of the others out
    /// of service.
    pub(in crate::redis) async fn ready(&self, probe: impl Fn(&str) -> Request<'static>) -> Result<(), Error> {
        let nodes = self.shared.table.borrow().nodes.clone();
        let mut probes = JoinSet::new();
        for node in nodes {
            let command = probe(&node.probe);
            probes.spawn(async move { node.link.run(&command, Mode::Shared, false).await });
        }
        let mut failure = None;
        while let Some(answer) = probes.join_next().await {
            match answer {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => failure = Some(error),
                Err(_) => {}
            }
        }
        Err(failure.map_or(Error::Unavailable(Outage::Unreachable), Failure::into))
    }

    async fn redirection(&self, error: &RedisError, from: &Node, until: Instant) -> Option<Node> {
        let (name, _) = error.redirect_node()?;
        let node = self.shared.other(name, from)?;
        // The link of a new node has to connect first.
        let _ = timeout_at(until, node.link.tried()).await;
        Some(node)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Shared {
    /// The node that a redirection by `from` names. A redirection without a host means the host of `from`.
    fn other(&self, name: &str, from: &Node) -> Option<Node> {
        let (host, port) = name.rsplit_once(':')?;
        let host = if host.is_empty() || host == "?" { from.name.rsplit_once(':')?.0 } else { host };
        let name = format!("{host}:{port}");
        if let Some(node) = self.table.borrow().node(&name) {
            return Some(node.clone());
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = others.iter().find(|node| node.name == name) {
            return Some(node.clone());
        }
        let node = self.node(host, port.parse().ok()?);
        others.push(node.clone());
        Some(node)
    }

    fn node(&self, host: &str, port: u16) -> Node {
        let source = Source::Fixed(Box::new(self.address.server(host, port)));
        let link = Arc::new(Link::start(source, self.wait, self.keys.clone()));
        Node { name: format!("{host}:{port}"), link, probe: self.keys.probe() }
    }

    /// Sets the clock by the first connected primary in the order of the slots, so that all our replicas follow the
    /// same clock.
    async fn ask_time(&self, samples: &mut Samples) {
        let node = self.table.borrow().nodes.iter().find(|node| node.link.is_up()).cloned();
        if let Some(node) = node {
            samples.ask(&node.link).await;
        }
    }

    /// Reads the table again. Asks all connected nodes, and also the seeds while a node is down. The most common answer
    /// wins.
    async fn reread(&self) {
        let old = Arc::clone(&self.table.borrow());
        let lost = std::mem::take(&mut *self.lost.lock().unwrap_or_else(PoisonError::into_inner));
        let up: Vec<_> = old.nodes.iter().filter(|node| node.link.is_up()).cloned().collect();
        let mut questions = JoinSet::new();
        if up.is_empty() || up.len() < old.nodes.len() {
            for seed in self.address.seeds.iter().filter(|seed| old.node(&seed.addr().to_string()).is_none()) {
                let seed = seed.clone();
                questions.spawn(async move { (false, slots::ask(&seed).await.ok()) });
            }
        }
        for node in up {
            let is_lost = lost.contains(&node.name);
            questions.spawn(async move { (is_lost, node.slots().await) });
        }
        let most = questions.len() / 2 + 1;
        let (mut answers, mut answers_of_lost) = (Vec::new(), Vec::new());
        while let Some(answer) = questions.join_next().await {
            let Ok((is_lost, Some(ranges))) = answer else { continue };
            if is_lost {
                answers_of_lost.push(ranges)
            } else {
                answers.push(ranges)
            }
            // Does not wait for a frozen node when a majority agrees.
            if answers.iter().filter(|ranges| Some(*ranges) == answers.last()).count() >= most {
                break;
            }
        }
        if let Some(ranges) = slots::agreed(answers).or_else(|| slots::agreed(answers_of_lost)) {
            self.install(&old, ranges).await;
        }
    }

    async fn install(&self, old: &Table, ranges: Ranges) {
        let mut table = Table::default();
        for (first, last, host, port) in ranges {
            let name = format!("{host}:{port}");
            let at = table.nodes.iter().position(|node| node.name == name).unwrap_or_else(|| {
                let other = |others: &Mutex<Vec<Node>>| {
                    let mut others = others.lock().unwrap_or_else(PoisonError::into_inner);
                    let at = others.iter().position(|node| node.name == name)?;
                    Some(others.swap_remove(at))
                };
                let node = old.node(&name).cloned().or_else(|| other(&self.others));
                let node = node.unwrap_or_else(|| self.node(&host, port));
                table.nodes.push(Node { probe: self.keys.probe_between(first, last), ..node });
                table.nodes.len() - 1
            });
            table.ranges.push((first, last, at));
        }
        // Forgets the nodes that are down: they have become replicas or have left the cluster.
        self.others.lock().unwrap_or_else(PoisonError::into_inner).retain(|node| node.link.is_up());
        for node in &table.nodes {
            node.link.tried().await;
        }
        self.table.send_replace(Arc::new(table));
    }
}

/// Reads the table again at intervals, more often while a node is down, and at once when a request indicates a change.
async fn keep(shared: Arc<Shared>, mut samples: Samples) {
    loop {
        let whole = shared.table.borrow().nodes.iter().all(|node| node.link.is_up());
        let complete = whole && !shared.table.borrow().nodes.is_empty();
        tokio::select! {
            () = shared.changed.notified() => {}
            () = sleep(if complete { REREAD } else { HEARTBEAT }) => {}
        }
        shared.reread().await;
        shared.ask_time(&mut samples).await;
        // Limits the rate of reads, no matter how many requests ask for one.
        sleep(Duration::from_millis(20)).await;
    }
}
