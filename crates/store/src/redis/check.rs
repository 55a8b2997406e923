//! Checks the servers at the start, and inspects them for `doctor`.

use auth_service_token::Id;
use redis::RedisError;

use super::{
    backend::{Backend, Primary},
    diagnosis::{explain, wrong_server},
    inspect,
    net::{connection, server::Server, url::Topology},
    slot,
    store::Shared,
};
use crate::{
    finding::{Finding, Verdict},
    open_error::OpenError,
};

impl Backend {
    /// Checks the kind and the role of each primary. `Some` is the reason why Redis cannot be used now.
    pub(crate) async fn check(&self) -> Result<Option<String>, OpenError> {
        let primaries = match self.primaries().await {
            Ok(primaries) => primaries,
            Err(error) => return self.explain(self.address(), &error).map(Some),
        };
        for Primary { server, .. } in primaries {
            let name = server.addr().to_string();
            match self.wrong_server(&server).await {
                Ok(None) => {}
                Ok(Some(advice)) => return Err(OpenError::Settings(advice)),
                Err(error) => return self.explain(&name, &error).map(Some),
            }
        }
        Ok(None)
    }

    async fn wrong_server(&self, server: &Server) -> Result<Option<String>, RedisError> {
        let name = server.addr().to_string();
        let mut connection = connection::connect_once(server).await?;
        let hello = connection::hello(&mut connection).await?;
        Ok(wrong_server(&self.address.topology, &name, &hello))
    }

    /// Inspects each primary. A primary that does not answer is a finding. It is an error if no primary answers.
    pub(crate) async fn inspect(&self) -> Result<Vec<Finding>, String> {
        let primaries = match self.primaries().await {
            Ok(primaries) => primaries,
            Err(error) => {
                return match self.explain(self.address(), &error) {
                    Ok(reason) => Err(reason),
                    Err(refused) => Ok(vec![refusal(self.address(), refused.message())]),
                };
            }
        };
        let coverage = matches!(self.address.topology, Topology::Cluster).then(|| self.coverage(&primaries));
        let mut findings = Vec::new();
        for primary in primaries {
            let name = primary.server.addr().to_string();
            match self.inspect_one(primary, &name).await {
                Ok(found) => findings.extend(found),
                Err(error) => findings.push(self.unreachable(&name, &error)),
            }
        }
        if findings.iter().all(Finding::is_unreachable) {
            let seen: Vec<_> = findings.into_iter().map(|finding| finding.seen).collect();
            return Err(seen.join("; "));
        }
        findings.extend(coverage);
        Ok(findings)
    }

    async fn inspect_one(&self, primary: Primary, name: &str) -> Result<Vec<Finding>, RedisError> {
        let Primary { server, slots } = primary;
        let mut connection = connection::connect_once(&server).await?;
        let hello = connection::hello(&mut connection).await?;
        if let Some(advice) = wrong_server(&self.address.topology, name, &hello) {
            return Ok(vec![refusal(name, &advice)]);
        }
        let mut tag = Id::random().map_err(std::io::Error::other)?;
        let has = |tag| slots.iter().any(|(first, last)| (*first..=*last).contains(&slot::slot(tag)));
        while !slots.is_empty() && !has(tag) {
            tag = Id::random().map_err(std::io::Error::other)?;
        }
        let Shared { keys, wait, .. } = &*self.shared;
        let needs = inspect::Needs { keys, wait: *wait, cluster: !slots.is_empty(), tag };
        inspect::inspect(&mut connection, name, hello, needs).await
    }

    pub(super) fn unreachable(&self, name: &str, error: &RedisError) -> Finding {
        match self.explain(name, error) {
            Ok(reason) => {
                let advice = "start this server, and run doctor again";
                Finding::new(name, Finding::UNREACHABLE, Verdict::Warning, reason, advice)
            }
            Err(refused) => refusal(name, refused.message()),
        }
    }

    fn coverage(&self, primaries: &[Primary]) -> Finding {
        let ranges = primaries.iter().flat_map(|primary| &primary.slots);
        let missing = ranges.fold(slot::SLOTS, |left, (first, last)| left.saturating_sub(last - first + 1));
        let (verdict, seen, advice) = match missing {
            0 => (Verdict::Ok, "all slots have a primary".to_owned(), ""),
            _ => (
                Verdict::Warning,
                format!("{missing} slots have no primary"),
                "run redis-cli --cluster fix HOST:PORT: the users of these slots, or all users, are not served",
            ),
        };
        Finding::new(self.address(), "slots", verdict, seen, advice)
    }

    fn explain(&self, name: &str, error: &RedisError) -> Result<String, OpenError> {
        explain(&self.address.topology, name, error)
    }
}

/// The finding that the address is wrong. `message` says what to write instead.
fn refusal(place: &str, message: &str) -> Finding {
    Finding::new(place, "address", Verdict::Refusal, message, "correct REDIS_URL and the settings that belong to it")
}
