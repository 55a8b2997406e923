//! The nodes of a cluster that one runtime knows, and the reading of their table.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

use super::{
    address::Address,
    link::Link,
    report::{Report, Reporter, Trouble},
    slots::{self, Ranges},
    source::Source,
    table::{Node, Table},
    timekeeper::Timekeeper,
};
use crate::{
    redis::{errors::reason, keys::Keys},
    settings::Wait,
};

/// The nodes of a cluster that one runtime knows.
pub(super) struct Nodes {
    address: Address,
    wait: Option<Wait>,
    keys: Keys,
    timekeeper: Arc<Timekeeper>,
    reporter: Arc<Reporter>,
    /// Says when no seed names the nodes of the cluster.
    report: Report,
    pub(super) table: watch::Sender<Arc<Table>>,
    /// Notified when a request shows that the table is outdated.
    pub(super) changed: Notify,
    /// Nodes that a redirection has named and that are not in the table.
    others: Mutex<Vec<Node>>,
    /// Names of nodes that have answered CLUSTERDOWN since the last read of the table. Such a node has lost contact
    /// with the other nodes, so its table is outdated.
    pub(super) lost: Mutex<BTreeSet<String>>,
}

impl Nodes {
    pub(super) fn new(
        address: Address,
        wait: Option<Wait>,
        keys: Keys,
        timekeeper: Arc<Timekeeper>,
        reporter: Arc<Reporter>,
    ) -> Self {
        Self {
            report: Report::new(&reporter, address.name().to_owned()),
            address,
            wait,
            keys,
            timekeeper,
            reporter,
            table: watch::Sender::new(Arc::default()),
            changed: Notify::new(),
            others: Mutex::default(),
            lost: Mutex::default(),
        }
    }

    /// Whether there are nodes, and each is connected.
    pub(super) fn are_complete(&self) -> bool {
        let nodes = &self.table.borrow().nodes;
        !nodes.is_empty() && nodes.iter().all(|node| node.link.is_up())
    }

    /// Sets the clock by the first connected primary in the order of the slots, so that all our replicas follow the
    /// same clock.
    pub(super) async fn ask_time(&self) {
        let table = Arc::clone(&self.table.borrow());
        table.ask_time(&self.timekeeper).await;
    }

    /// The node that a redirection by `from` names. A redirection without a host means the host of `from`.
    pub(super) fn other(&self, name: &str, from: &Node) -> Option<Node> {
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
        let wait = self.wait.map(|wait| (wait, self.keys.clone()));
        let name = format!("{host}:{port}");
        let report = Report::new(&self.reporter, name.clone());
        Node { link: Arc::new(Link::start(source, wait, None, self.keys.probe(), report)), name }
    }

    /// Reads the table again. Asks all connected nodes, and also the seeds while a node is down. The most common answer
    /// wins.
    pub(super) async fn reread(&self) {
        let old = Arc::clone(&self.table.borrow());
        let lost = std::mem::take(&mut *self.lost.lock().unwrap_or_else(PoisonError::into_inner));
        let up: Vec<_> = old.nodes.iter().filter(|node| node.link.is_up()).cloned().collect();
        let mut questions = JoinSet::new();
        if up.is_empty() || up.len() < old.nodes.len() {
            for seed in self.address.seeds.iter().filter(|seed| old.node(&seed.addr().to_string()).is_none()) {
                let seed = seed.clone();
                questions.spawn(async move { (false, Some(slots::ask(&seed).await)) });
            }
        }
        for node in up {
            let is_lost = lost.contains(&node.name);
            questions.spawn(async move { (is_lost, node.slots().await.map(Ok)) });
        }
        let most = questions.len() / 2 + 1;
        let (mut answers, mut answers_of_lost, mut failure) = (Vec::new(), Vec::new(), None);
        while let Some(answer) = questions.join_next().await {
            match answer {
                Ok((true, Some(Ok(ranges)))) => answers_of_lost.push(ranges),
                Ok((false, Some(Ok(ranges)))) => answers.push(ranges),
                Ok((_, Some(Err(error)))) => failure = Some(error),
                _ => {}
            }
            // Does not wait for a frozen node when a majority agrees.
            if answers.iter().filter(|ranges| Some(*ranges) == answers.last()).count() >= most {
                break;
            }
        }
        if let Some(ranges) = slots::agreed(answers).or_else(|| slots::agreed(answers_of_lost)) {
            self.install(&old, ranges).await;
            self.report.end(Trouble::Lost);
        } else if old.nodes.is_empty() {
            // Links report the loss of known nodes.
            self.report.begin(Trouble::Lost, failure.map_or_else(|| slots::NO_SLOTS.into(), |error| reason(&error)));
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
                node.link.set_probe(self.keys.probe_between(first, last));
                table.nodes.push(node);
                table.nodes.len() - 1
            });
            table.ranges.push((first, last, at));
        }
        for (from, to) in table.successors(old) {
            self.reporter.replaced(from, to.to_owned());
        }
        // Forgets the nodes that are down: they have become replicas or have left the cluster.
        self.others.lock().unwrap_or_else(PoisonError::into_inner).retain(|node| node.link.is_up());
        for node in &table.nodes {
            node.link.tried().await;
        }
        // Sets the clock before the first request, which fails while the clock is not set.
        table.ask_time(&self.timekeeper).await;
        self.table.send_replace(Arc::new(table));
    }
}
