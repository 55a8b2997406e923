//! The store of one runtime, which sends its requests to the servers.

use std::{sync::Arc, time::Instant};

use auth_service_records::{
    clock::Clock,
    error::{Error, Outage},
    session::SessionPolicy,
};
use redis::{FromRedisValue, RedisError, Value};

use super::{
    errors::to_error,
    keys::{Keys, Tag},
    net::{
        cluster::Cluster,
        link::Link,
        report::Reporter,
        request::{Mode, Request},
        timekeeper::Timekeeper,
    },
};
use crate::{metrics::Metrics, settings::Wait};

/// The data that all runtimes share.
pub(super) struct Shared {
    pub(super) keys: Keys,
    pub(super) policy: SessionPolicy,
    pub(super) clock: Clock,
    pub(super) timekeeper: Arc<Timekeeper>,
    pub(super) reporter: Arc<Reporter>,
    pub(super) wait: Option<Wait>,
}

/// The store of one runtime.
pub struct Redis {
    pub(super) shared: Arc<Shared>,
    pub(super) servers: Servers,
}

/// The servers behind the address.
pub(super) enum Servers {
    One(Link),
    Cluster(Cluster),
}

impl Redis {
    pub(super) fn new(shared: Arc<Shared>, servers: Servers) -> Self {
        Self { shared, servers }
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.shared.keys
    }

    pub(super) fn policy(&self) -> SessionPolicy {
        self.shared.policy
    }

    pub(crate) fn now_seconds(&self) -> u64 {
        self.shared.clock.now_seconds()
    }

    /// Runs a request on the keys of `tag`.
    pub(super) async fn run<T: FromRedisValue>(&self, tag: impl Into<Tag>, request: &Request<'_>) -> Result<T, Error> {
        self.run_in(tag.into(), request, Mode::Shared).await
    }

    /// Like [`Redis::run`], for a write that a failover must not undo after the acknowledgement.
    pub(super) async fn run_lasting<T: FromRedisValue>(
        &self,
        tag: impl Into<Tag>,
        request: &Request<'_>,
    ) -> Result<T, Error> {
        let tag = tag.into();
        self.run_in(tag, request, self.lasting(tag)).await
    }

    /// The mode of a write that a failover must not undo after the acknowledgement.
    pub(super) fn lasting(&self, tag: Tag) -> Mode {
        self.shared.wait.map_or(Mode::Shared, |wait| Mode::Replicated(wait, tag))
    }

    pub(super) async fn run_in<T: FromRedisValue>(
        &self,
        tag: Tag,
        request: &Request<'_>,
        mode: Mode,
    ) -> Result<T, Error> {
        let start = Instant::now();
        let answer = self.ask(tag, request, mode).await;
        self.metrics().count(request.kind, start, &answer);
        decode(answer?)
    }

    async fn ask(&self, tag: Tag, request: &Request<'_>, mode: Mode) -> Result<Value, Error> {
        self.check_clock()?;
        match &self.servers {
            Servers::One(link) => Ok(link.run(request, mode, false).await?),
            // Boxed, because the large future would otherwise be a part of the future of every request.
            Servers::Cluster(cluster) => Box::pin(cluster.run(self.keys().slot(tag), request, mode)).await,
        }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        self.shared.reporter.metrics()
    }

    /// Counts the error if an answer could not be read, for example because a later version wrote the value.
    pub(super) fn counted<T>(&self, read: Result<T, Error>) -> Result<T, Error> {
        read.inspect_err(|error| self.metrics().count_error(error))
    }

    /// No token may be minted before the server knows the time of Redis.
    fn check_clock(&self) -> Result<(), Error> {
        if self.shared.clock.is_set() { Ok(()) } else { Err(Error::Unavailable(Outage::Unreachable)) }
    }

    pub(crate) async fn ready(&self) -> Result<Option<Outage>, Error> {
        self.check_clock()?;
        match &self.servers {
            Servers::One(link) => Ok(link.ready().await?),
            Servers::Cluster(cluster) => cluster.ready().await,
        }
    }
}

/// An error for a value of the store that has an unexpected form.
pub(super) fn unreadable(what: &str) -> Error {
    Error::Internal(format!("{what} cannot be read"))
}

pub(super) fn decode<T: FromRedisValue>(answer: Value) -> Result<T, Error> {
    redis::from_redis_value(answer).map_err(|error| to_error(&RedisError::from(error)))
}
