//! What all runtimes share: where Redis is, and a look at it before anything is served.

use std::{collections::BTreeMap, sync::Arc};

use auth_service_records::{clock::Clock, session::SessionPolicy};
use auth_service_token::Id;
use redis::{ConnectionInfo, RedisError};

use super::{
    inspect,
    keys::Keys,
    net::{
        address::{Address, Topology},
        cluster::Cluster,
        connection::{self, Hello},
        link::Link,
        sentinel::{self, Sentinels},
        slots,
        source::Source,
        timekeeper::Timekeeper,
    },
    slot,
    store::{Redis, Servers, Shared},
};
use crate::{
    finding::{Finding, Verdict},
    open_error::OpenError,
    settings::RedisSettings,
};

/// What all runtimes of the process share.
pub struct Backend {
    address: Address,
    name: String,
    shared: Arc<Shared>,
}

impl Backend {
    pub(crate) fn new(settings: &RedisSettings, policy: SessionPolicy, clock: Clock) -> Result<Self, OpenError> {
        let address = Address::new(settings)?;
        let keys = Keys::new(&settings.key_prefix);
        let shared = Arc::new(Shared { keys, policy, clock, wait: settings.wait });
        Ok(Self { name: address.name(), address, shared })
    }

    pub(crate) fn address(&self) -> &str {
        &self.name
    }

    /// The connections of one runtime. The clock shows the time of Redis from then on, if Redis is there.
    pub(crate) async fn connect(&self) -> Redis {
        let Shared { keys, clock, wait, .. } = &*self.shared;
        let (servers, timekeeper) = match self.address.topology {
            Topology::Cluster => {
                let cluster = Cluster::start(self.address.clone(), *wait, keys.clone(), clock.clone()).await;
                (Servers::Cluster(cluster), None)
            }
            _ => {
                let link = Arc::new(Link::start(self.source(), *wait, keys.clone()));
                link.tried().await;
                let timekeeper = Timekeeper::start(Arc::clone(&link), clock.clone()).await;
                (Servers::One(link), Some(timekeeper))
            }
        };
        Redis::new(Arc::clone(&self.shared), servers, timekeeper)
    }

    fn source(&self) -> Source {
        match &self.address.topology {
            Topology::Sentinel { service } => {
                Source::Sentinels(Arc::new(Sentinels::new(self.address.clone(), service.clone())))
            }
            _ => Source::Fixed(Box::new(self.address.seeds[0].clone())),
        }
    }

    /// The servers that take writes now, each with its slots in a cluster.
    async fn primaries(&self) -> Result<Vec<(ConnectionInfo, Vec<(u16, u16)>)>, RedisError> {
        match &self.address.topology {
            Topology::Cluster => {
                let mut servers: BTreeMap<_, Vec<_>> = BTreeMap::new();
                for (first, last, host, port) in slots::locate(&self.address).await? {
                    servers.entry((host, port)).or_default().push((first, last));
                }
                let server = |((host, port), slots): ((String, u16), _)| (self.address.server(&host, port), slots);
                Ok(servers.into_iter().map(server).collect())
            }
            _ => Ok(vec![(self.source().locate().await?, Vec::new())]),
        }
    }

    /// Each primary's kind and role.
    pub(crate) async fn check(&self) -> Result<Option<String>, OpenError> {
        let primaries = match self.primaries().await {
            Ok(primaries) => primaries,
            Err(error) => return self.not_to_be_used(&self.name, &error).map(Some),
        };
        for (info, _) in primaries {
            let name = info.addr().to_string();
            let checked = async {
                let mut connection = connection::connect_once(info).await?;
                let hello = connection::hello(&mut connection).await?;
                if let Some(advice) = self.wrong_server(&name, &hello) {
                    return Ok(Err(OpenError::Settings(advice)));
                }
                Ok(Ok(()))
            };
            match checked.await {
                Ok(Ok(())) => {}
                Ok(Err(refused)) => return Err(refused),
                Err(error) => return self.not_to_be_used(&name, &error).map(Some),
            }
        }
        Ok(None)
    }

    /// A look at each primary, which tells of one that cannot be asked, too; `Err` if none can.
    pub(crate) async fn inspect(&self) -> Result<Vec<Finding>, String> {
        let primaries = match self.primaries().await {
            Ok(primaries) => primaries,
            Err(error) => {
                return match self.not_to_be_used(&self.name, &error) {
                    Ok(away) => Err(away),
                    Err(refused) => Ok(vec![self.refusal(&self.name, refused.message())]),
                };
            }
        };
        let coverage = matches!(self.address.topology, Topology::Cluster).then(|| self.coverage(&primaries));
        let mut findings = Vec::new();
        for (info, slots) in primaries {
            let name = info.addr().to_string();
            match self.inspect_one(info, &name, &slots).await {
                Ok(found) => findings.extend(found),
                Err(error) => match self.not_to_be_used(&name, &error) {
                    Ok(away) => {
                        let advice = "what it would have been asked is not known; see that it is there, and look again";
                        findings.push(Finding::new(&name, Finding::AWAY, Verdict::Warning, away, advice));
                    }
                    Err(refused) => findings.push(self.refusal(&name, refused.message())),
                },
            }
        }
        if findings.iter().all(Finding::is_of_absence) {
            let seen: Vec<_> = findings.into_iter().map(|finding| finding.seen).collect();
            return Err(seen.join("; "));
        }
        findings.extend(coverage);
        Ok(findings)
    }

    async fn inspect_one(
        &self,
        info: ConnectionInfo,
        name: &str,
        slots: &[(u16, u16)],
    ) -> Result<Vec<Finding>, RedisError> {
        let mut connection = connection::connect_once(info).await?;
        let hello = connection::hello(&mut connection).await?;
        if let Some(advice) = self.wrong_server(name, &hello) {
            return Ok(vec![self.refusal(name, &advice)]);
        }
        let mut tag = Id::random().map_err(std::io::Error::other)?;
        let is_its = |tag| slots.iter().any(|(first, last)| (*first..=*last).contains(&slot::slot(tag)));
        while !slots.is_empty() && !is_its(tag) {
            tag = Id::random().map_err(std::io::Error::other)?;
        }
        let Shared { keys, wait, .. } = &*self.shared;
        let needs = inspect::Needs { keys, wait: *wait, cluster: !slots.is_empty(), tag };
        inspect::inspect(&mut connection, name, hello, needs).await
    }

    /// What is wrong with the address itself: `message` says what to write instead.
    fn refusal(&self, place: &str, message: &str) -> Finding {
        Finding::new(place, "address", Verdict::Refusal, message, "correct REDIS_URL and what belongs to it")
    }

    fn coverage(&self, primaries: &[(ConnectionInfo, Vec<(u16, u16)>)]) -> Finding {
        let ranges = primaries.iter().flat_map(|(_, slots)| slots);
        let missing = ranges.fold(slot::SLOTS, |left, (first, last)| left.saturating_sub(last - first + 1));
        let (verdict, seen, advice) = match missing {
            0 => (Verdict::Ok, "all slots have a primary".to_owned(), ""),
            _ => (
                Verdict::Warning,
                format!("{missing} slots have no primary"),
                "redis-cli --cluster fix HOST:PORT: their users, or all, are not served",
            ),
        };
        Finding::new(&self.name, "slots", verdict, seen, advice)
    }

    /// For each primary whose clock is too far from ours: how far.
    pub(crate) async fn skewed_clocks(&self) -> Vec<String> {
        let mut skewed = Vec::new();
        for (info, _) in self.primaries().await.unwrap_or_default() {
            let name = info.addr().to_string();
            let Ok(mut connection) = connection::connect_once(info).await else { continue };
            if let Some(skew) = inspect::clock_skew(&mut connection).await.ok().and_then(inspect::too_much) {
                skewed.push(format!("the clock of Redis at {name} is {skew}"));
            }
        }
        skewed
    }

    /// A refusal when no retry will help, else the reason why the store is not ready yet.
    fn not_to_be_used(&self, name: &str, error: &RedisError) -> Result<String, OpenError> {
        let reason = connection::reason(error);
        if sentinel::is_unknown_service(error) {
            return Err(OpenError::Settings(format!(
                "REDIS_URL: {reason}; the form is redis+sentinel://host1,host2/service, and SENTINEL MASTERS lists the names"
            )));
        }
        if connection::is_refusal(error) {
            return Err(OpenError::Settings(format!(
                "Redis at {name} refused REDIS_URL's user name, password or database: {reason}"
            )));
        }
        match (&self.address.topology, error.detail().unwrap_or_default()) {
            (Topology::Sentinel { .. }, detail) if detail.contains("unknown command") => Err(OpenError::Settings(
                "REDIS_URL names Sentinels, but no Sentinel answers there: for the server itself use redis://host"
                    .to_owned(),
            )),
            (Topology::Cluster, detail) if detail.contains("cluster support disabled") => Err(OpenError::Settings(
                "REDIS_URL names a cluster, but the server is not part of one: use redis://host".to_owned(),
            )),
            (Topology::Cluster, detail) if detail.contains("unknown command") => Err(OpenError::Settings(
                "REDIS_URL names a cluster, but what answers there is not part of one: for Sentinels use \
                 redis+sentinel://host1,host2/service, for a single server redis://host"
                    .to_owned(),
            )),
            _ if error.is_io_error() => Ok(format!("Redis at {name} cannot be reached: {reason}")),
            _ => Ok(format!("Redis at {name} is not ready: {reason}")),
        }
    }

    /// What to write into `REDIS_URL` instead, if the server is of another kind than its form says.
    fn wrong_server(&self, name: &str, hello: &Hello) -> Option<String> {
        Some(match (&self.address.topology, hello.mode.as_str(), hello.role.as_str()) {
            (_, "sentinel", _) => {
                format!("REDIS_URL names {name}, which is a Sentinel: use redis+sentinel://{name}/service")
            }
            (Topology::Single | Topology::Sentinel { .. }, "cluster", _) => {
                format!("REDIS_URL names {name}, which is a node of a cluster: use redis+cluster://{name}")
            }
            (Topology::Single, _, role) if role != "master" => {
                format!(
                    "REDIS_URL names {name}, which is a replica, and only the primary takes writes: use redis://primary, or \
                     redis+sentinel://host1,host2/service, which finds it"
                )
            }
            _ => return None,
        })
    }
}
