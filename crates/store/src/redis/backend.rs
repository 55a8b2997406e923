//! The data that all runtimes share, and the connections of each runtime.

use std::{collections::BTreeMap, sync::Arc};

use auth_service_records::{clock::Clock, session::SessionPolicy};
use redis::RedisError;

use super::{
    keys::Keys,
    net::{
        address::Address, cluster::Cluster, link::Link, report::Report, sentinel::Sentinels, server::Server, slots,
        source::Source, timekeeper::Timekeeper, url::Topology,
    },
    store::{Redis, Servers, Shared},
};
use crate::{metrics::Metrics, open_error::OpenError, settings::RedisSettings};

/// The data that all runtimes of the process share.
pub struct Backend {
    pub(super) address: Address,
    pub(super) shared: Arc<Shared>,
}

/// A server that accepts writes.
pub(super) struct Primary {
    pub(super) server: Server,
    /// The first and the last slot of each of its ranges in a cluster. Empty without a cluster.
    pub(super) slots: Vec<(u16, u16)>,
}

impl Backend {
    pub(crate) fn new(settings: &RedisSettings, policy: SessionPolicy, clock: Clock) -> Result<Self, OpenError> {
        let address = Address::new(settings)?;
        let keys = Keys::new(&settings.key_prefix);
        let timekeeper = Arc::new(Timekeeper::new(clock.clone()));
        let reporter = Arc::default();
        let shared = Arc::new(Shared { keys, policy, clock, timekeeper, reporter, wait: settings.wait });
        Ok(Self { address, shared })
    }

    pub(crate) fn address(&self) -> &str {
        self.address.name()
    }

    /// Whether the servers can be used, as far as the connections know.
    pub(crate) fn is_usable(&self) -> bool {
        self.shared.clock.is_set() && self.shared.reporter.is_well()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        self.shared.reporter.metrics()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Opens the connections of one runtime. From then on, the clock shows the time of Redis, if Redis answers.
    pub(crate) async fn connect(&self) -> Redis {
        let Shared { keys, timekeeper, reporter, wait, .. } = &*self.shared;
        let (keys, timekeeper, wait) = (keys.clone(), Arc::clone(timekeeper), *wait);
        let servers = match self.address.topology {
            Topology::Cluster => {
                let (address, reporter) = (self.address.clone(), Arc::clone(reporter));
                Servers::Cluster(Cluster::start(address, wait, keys, timekeeper, reporter).await)
            }
            _ => {
                let (probe, report) = (keys.probe(), Report::new(reporter, self.address.name().to_owned()));
                let wait = wait.map(|wait| (wait, keys));
                let link = Link::start(self.source(), wait, Some(timekeeper), probe, report);
                link.tried().await;
                Servers::One(link)
            }
        };
        Redis::new(Arc::clone(&self.shared), servers)
    }

    fn source(&self) -> Source {
        match &self.address.topology {
            Topology::Sentinel { service } => {
                Source::Sentinels(Arc::new(Sentinels::new(self.address.clone(), service.clone())))
            }
            _ => Source::Fixed(Box::new(self.address.seeds[0].clone())),
        }
    }

    /// The servers that accept writes now.
    pub(super) async fn primaries(&self) -> Result<Vec<Primary>, RedisError> {
        let Topology::Cluster = self.address.topology else {
            return Ok(vec![Primary { server: self.source().locate().await?, slots: Vec::new() }]);
        };
        let mut servers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (first, last, host, port) in slots::locate(&self.address).await? {
            servers.entry((host, port)).or_default().push((first, last));
        }
        let primary =
            |((host, port), slots): ((String, u16), _)| Primary { server: self.address.server(&host, port), slots };
        Ok(servers.into_iter().map(primary).collect())
    }
}
