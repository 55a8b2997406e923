//! The primaries of a cluster, and which of them has which slots.

use std::sync::Arc;

use redis::Value;

use super::{
    link::Link,
    request::Mode,
    slots::{self, Ranges},
};

#[derive(Default)]
pub(super) struct Table {
    pub(super) nodes: Vec<Node>,
    /// First and last slot, and whose they are.
    pub(super) ranges: Vec<(u16, u16, usize)>,
}

#[derive(Clone)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) link: Arc<Link>,
    /// A key in a slot of its own, for readiness.
    pub(super) probe: String,
}

impl Table {
    pub(super) fn owner(&self, slot: u16) -> Option<&Node> {
        let range = self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot))?;
        self.nodes.get(range.2)
    }

    pub(super) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }
}

impl Node {
    /// The table as this node tells it.
    pub(super) async fn slots(&self) -> Option<Ranges> {
        let answer = self.link.run(&slots::request(), Mode::Shared, false).await.ok()?;
        let rows: Vec<Vec<Value>> = redis::from_redis_value(answer).ok()?;
        slots::parse(rows, self.name.rsplit_once(':')?.0).ok()
    }
}
