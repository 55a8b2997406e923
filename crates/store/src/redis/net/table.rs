//! The primaries of a cluster, and the slots of each primary.

use std::sync::Arc;

use redis::Value;

use super::{
    link::Link,
    request::Mode,
    slots::{self, Ranges},
    timekeeper::Timekeeper,
};

#[derive(Default)]
pub(super) struct Table {
    pub(super) nodes: Vec<Node>,
    /// The first slot, the last slot, and the index of their primary in `nodes`.
    pub(super) ranges: Vec<(u16, u16, usize)>,
}

#[derive(Clone)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) link: Arc<Link>,
}

impl Table {
    pub(super) fn owner(&self, slot: u16) -> Option<&Node> {
        let range = self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot))?;
        self.nodes.get(range.2)
    }

    pub(super) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The failovers since the table `old`: each node that has lost all its slots, and the node that took them and had
    /// none before. After a resharding, the old node is still in the table.
    pub(super) fn successors<'a>(&'a self, old: &'a Self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let gone = old.nodes.iter().enumerate().filter(|(_, node)| self.node(&node.name).is_none());
        gone.filter_map(|(at, node)| {
            let (first, ..) = old.ranges.iter().find(|range| range.2 == at)?;
            let owner = self.owner(*first).filter(|owner| old.node(&owner.name).is_none())?;
            Some((node.name.as_str(), owner.name.as_str()))
        })
    }

    /// Sets the clock by the first connected node.
    pub(super) async fn ask_time(&self, timekeeper: &Timekeeper) {
        if let Some(node) = self.nodes.iter().find(|node| node.link.is_up()) {
            node.link.ask_time(timekeeper).await;
        }
    }
}

impl Node {
    /// Asks this node for the table of slots.
    pub(super) async fn slots(&self) -> Option<Ranges> {
        let answer = self.link.run(&slots::request(), Mode::Shared, false).await.ok()?;
        let rows: Vec<Vec<Value>> = redis::from_redis_value(answer).ok()?;
        slots::parse(rows, self.name.rsplit_once(':')?.0).ok()
    }
}
