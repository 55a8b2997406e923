//! The places of connections: how many there are for all clients and for each address, and which connection gives way
//! when no place is free.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use auth_service_records::throttle::address_name;
use auth_service_token::Id;
use ipnet::IpNet;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::activity::Activity;
use crate::{http::metrics::Metrics, log::Seldom};

/// While no place is free: how often to look for a connection that has become idle.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Connections that have ended are forgotten when the list is this long, and again whenever it has doubled.
const FIRST_TIDYING: usize = 1_024;

/// How many connections there may be.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// The maximum number of open connections, at least one. For one more, the connection that has been idle longest
    /// ends. If none is idle, further connections wait in the listener's backlog.
    pub total: usize,
    /// The maximum number of open connections from one address (for IPv6, from one /64 network). Further connections
    /// are closed at once. 0 for no limit.
    pub per_address: usize,
    /// The networks whose connections count for no address, because they carry the requests of many clients.
    pub exempt: Vec<IpNet>,
}

/// The places, as the accepting thread gives them out. Workers only drop a [`Place`], so they share no lock.
pub(super) struct Places {
    limits: ConnectionLimits,
    free: Arc<Semaphore>,
    /// Each address with a connection. Each of its connections holds one strong reference.
    addresses: HashMap<Id, Weak<()>>,
    /// All open connections, and until the next tidying also some that have ended.
    open: Vec<Weak<Activity>>,
    tidy_at: usize,
    /// The connections that were idle at the last look, and since when. The last one has been idle longest. A
    /// connection that has become idle later has been idle for a shorter time than each of these.
    idle: Vec<(Instant, Weak<Activity>)>,
    all_taken: Seldom,
    too_many: Seldom,
    metrics: Metrics,
}

/// The place of a connection. Its drop frees the place.
pub(super) struct Place {
    _among_all: OwnedSemaphorePermit,
    _of_address: OfAddress,
    metrics: Metrics,
}

/// The place of a connection among those of its address.
pub(super) struct OfAddress {
    /// `None` if the connection counts for no address.
    _reference: Option<Arc<()>>,
}

impl Place {
    fn new(among_all: OwnedSemaphorePermit, of_address: OfAddress, metrics: Metrics) -> Self {
        metrics.connections.inc();
        Self { _among_all: among_all, _of_address: of_address, metrics }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

impl Places {
    pub(super) fn new(limits: ConnectionLimits, metrics: Metrics) -> Self {
        Self {
            free: Arc::new(Semaphore::new(limits.total)),
            limits,
            addresses: HashMap::new(),
            open: Vec::new(),
            tidy_at: FIRST_TIDYING,
            idle: Vec::new(),
            all_taken: Seldom::new(),
            too_many: Seldom::new(),
            metrics,
        }
    }

    /// The place of a new connection among those of its address. `None` if the address has no more.
    pub(super) fn of_address(&mut self, peer: IpAddr) -> Option<OfAddress> {
        let peer = peer.to_canonical();
        let limit = self.limits.per_address;
        if limit == 0 || self.limits.exempt.iter().any(|network| network.contains(&peer)) {
            return Some(OfAddress { _reference: None });
        }
        let address = self.addresses.entry(address_name(peer)).or_default();
        if address.strong_count() >= limit {
            self.metrics.connections_refused.inc();
            if let Some(closed) = self.too_many.due() {
                tracing::warn!(
                    address = %peer,
                    closed,
                    "connections beyond MAX_CONNECTIONS_PER_ADDRESS={limit} are closed; if the address is a load \
                     balancer, name its network in TRUSTED_PROXIES, and its connections have no such limit"
                );
            }
            return None;
        }
        let reference = address.upgrade().unwrap_or_else(|| {
            let first = Arc::new(());
            *address = Arc::downgrade(&first);
            first
        });
        Some(OfAddress { _reference: Some(reference) })
    }

    /// Waits for a place among all connections. If none is free, the connection that has been idle longest gives way.
    pub(super) async fn among_all(&mut self, of_address: OfAddress) -> Place {
        let mut ending: Option<Arc<Activity>> = None;
        loop {
            // A connection that ends first frees its place, and then drops its activity. So this check comes before the
            // attempt to get a place: if the activity is already dropped, the attempt finds the place.
            let waits = ending.as_ref().is_some_and(|activity| activity.gives_way() && Arc::strong_count(activity) > 1);
            let mut permit = Arc::clone(&self.free).try_acquire_owned().ok();
            if permit.is_none() {
                if !waits {
                    ending = self.end_longest_idle();
                }
                permit = timeout(LOOK_INTERVAL, Arc::clone(&self.free).acquire_owned()).await.ok().and_then(Result::ok);
            }
            if let Some(among_all) = permit {
                return Place::new(among_all, of_address, self.metrics.clone());
            }
        }
    }

    /// Records a connection that has a place.
    pub(super) fn opened(&mut self, activity: &Arc<Activity>) {
        self.open.push(Arc::downgrade(activity));
        if self.open.len() >= self.tidy_at {
            self.open.retain(|activity| activity.strong_count() > 0);
            self.addresses.retain(|_, address| address.strong_count() > 0);
            self.tidy_at = FIRST_TIDYING.max(self.open.len() * 2);
        }
    }

    /// Tells the connection that has been idle longest to end. `None` if every connection has a request.
    fn end_longest_idle(&mut self) -> Option<Arc<Activity>> {
        if let Some(times) = self.all_taken.due() {
            tracing::warn!(
                times,
                "all MAX_CONNECTIONS={} connections are taken: a new one waits, or the longest idle one ends",
                self.limits.total
            );
        }
        self.next_idle().or_else(|| {
            self.look();
            self.next_idle()
        })
    }

    fn next_idle(&mut self) -> Option<Arc<Activity>> {
        while let Some((since, activity)) = self.idle.pop() {
            if let Some(activity) = activity.upgrade().filter(|activity| activity.give_way(since)) {
                self.metrics.connections_displaced.inc();
                return Some(activity);
            }
        }
        None
    }

    fn look(&mut self) {
        let open = self.open.iter().filter_map(Weak::upgrade);
        let idle = open.filter_map(|activity| Some((activity.idle_since()?, Arc::downgrade(&activity))));
        self.idle.extend(idle);
        self.idle.sort_unstable_by_key(|(since, _)| std::cmp::Reverse(*since));
    }
}
