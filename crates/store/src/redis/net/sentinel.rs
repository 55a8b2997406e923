//! Asks the Sentinels which server is the primary.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::{ErrorKind, FromRedisValue, RedisError, RedisResult, aio::MultiplexedConnection};
use tokio::{sync::Mutex, task::JoinSet, time::timeout};

use super::{
    address::Address,
    connection::{self, timed_out},
    login::Login,
    server::Server,
};

/// The answer of a slower Sentinel does not count.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(250);

/// The Sentinels of one service. Only the answer of a majority of the Sentinels in the address counts. In a network
/// partition, a minority does not know that the majority has promoted another primary.
pub(in crate::redis) struct Sentinels {
    address: Address,
    service: String,
    members: Vec<Arc<Sentinel>>,
}

struct Sentinel {
    /// With the credentials of Sentinels, or without credentials.
    server: Server,
    /// With the credentials of the Redis servers, if Sentinels have none of their own.
    fallback: Option<Server>,
    /// Reused by later questions.
    connection: Mutex<Option<MultiplexedConnection>>,
}

/// The primary as one Sentinel sees it.
struct View {
    host: String,
    port: u16,
    /// The configuration epoch, which grows with each failover.
    epoch: u64,
    well: bool,
    failing_over: bool,
}

impl Sentinels {
    pub(in crate::redis) fn new(address: Address, service: String) -> Self {
        let members = address.seeds.iter().map(|seed| Arc::new(Sentinel::new(seed, &address.sentinel_login))).collect();
        Self { address, service, members }
    }

    /// The server that a majority of the Sentinels names.
    pub(in crate::redis) async fn primary(&self) -> RedisResult<Server> {
        let mut answers = self.ask_all(async |member, service| member.primary_of(service).await);
        let mut votes: HashMap<(String, u16), usize> = HashMap::new();
        let (mut unknown, mut failure) = (0, None);
        while let Some(answer) = answers.join_next().await {
            match answer {
                Ok(Ok(Some(primary))) => {
                    let count = votes.entry(primary.clone()).or_default();
                    *count += 1;
                    if *count >= self.most() {
                        return Ok(self.address.server(&primary.0, primary.1));
                    }
                }
                Ok(Ok(None)) => unknown += 1,
                Ok(Err(error)) => failure = failure.or(Some(error)),
                Err(_) => {}
            }
        }
        Err(match failure {
            _ if unknown >= self.most() => unknown_service(),
            Some(error) if votes.is_empty() && unknown == 0 => error,
            _ => std::io::Error::other("no majority of the Sentinels names the same server").into(),
        })
    }

    /// Whether a majority of the Sentinels sees this server as a healthy primary, and no Sentinel is running
    /// or has completed a failover to another server. Between the choice of a new primary and the demotion of the old
    /// one, the old primary accepts writes and the remaining replicas confirm them. Those writes are lost.
    pub(in crate::redis) async fn confirms_primary(&self, server: &Server) -> bool {
        let mut answers = self.ask_all(async |member, service| member.view_of(service).await);
        let mut views = Vec::new();
        // Waits for every answer, because the Sentinel that runs the failover may be the slowest.
        while let Some(answer) = answers.join_next().await {
            views.extend(answer.into_iter().flatten());
        }
        let names_it = |view: &&View| self.address.server(&view.host, view.port).addr() == server.addr();
        let epoch = views.iter().filter(names_it).map(|view| view.epoch).max();
        // A Sentinel that was down may still name a former primary, but with an older epoch.
        let replaced = views.iter().any(|view| !names_it(&view) && Some(view.epoch) > epoch);
        let failing_over = views.iter().any(|view| view.failing_over);
        let well = views.iter().filter(names_it).filter(|view| view.well).count();
        well >= self.most() && !failing_over && !replaced
    }

    fn most(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// Asks all Sentinels at the same time.
    fn ask_all<T, F>(&self, question: impl Fn(Arc<Sentinel>, String) -> F) -> JoinSet<RedisResult<T>>
    where
        T: Send + 'static,
        F: Future<Output = RedisResult<T>> + Send + 'static,
    {
        self.members.iter().map(|member| question(Arc::clone(member), self.service.clone())).collect()
    }
}

/// The error if a majority of the Sentinels does not know the service.
fn unknown_service() -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, "no Sentinel knows a service of this name"))
}

pub(in crate::redis) fn is_unknown_service(error: &RedisError) -> bool {
    error.kind() == ErrorKind::InvalidClientConfig
}

impl Sentinel {
    fn new(seed: &Server, login: &Arc<Login>) -> Self {
        let fallback = (!login.has_credentials()).then(|| seed.without_database());
        Self { server: seed.without_database().with_login(login), fallback, connection: Mutex::new(None) }
    }

    async fn primary_of(&self, service: String) -> RedisResult<Option<(String, u16)>> {
        self.ask("GET-MASTER-ADDR-BY-NAME", &service).await
    }

    async fn view_of(&self, service: String) -> RedisResult<View> {
        let primary: HashMap<String, String> = self.ask("MASTER", &service).await?;
        let text = |name: &str| primary.get(name).map(String::as_str).unwrap_or_default();
        let flags: Vec<_> = text("flags").split(',').collect();
        let has = |names: &[&str]| flags.iter().any(|flag| names.contains(flag));
        let failing_over = has(&["failover_in_progress", "force_failover"]);
        Ok(View {
            host: text("ip").to_owned(),
            port: text("port").parse().unwrap_or_default(),
            epoch: text("config-epoch").parse().unwrap_or_default(),
            well: has(&["master"]) && !has(&["s_down", "o_down"]),
            failing_over,
        })
    }

    /// Answers within the timeout, even while another task is connecting.
    async fn ask<T: FromRedisValue>(&self, question: &str, service: &str) -> RedisResult<T> {
        let ask = async {
            let mut connection = {
                let mut kept = self.connection.lock().await;
                match kept.as_ref() {
                    Some(connection) => connection.clone(),
                    None => kept.insert(self.connect().await?).clone(),
                }
            };
            redis::cmd("SENTINEL").arg(question).arg(service).query_async(&mut connection).await
        };
        let answer = timeout(ANSWER_TIMEOUT, ask).await.unwrap_or_else(|_| Err(timed_out()));
        // If the connection is locked, another task is replacing it.
        if let (Err(_), Ok(mut kept)) = (&answer, self.connection.try_lock()) {
            *kept = None;
        }
        answer
    }

    /// Connects with the credentials of Sentinels. If the settings have none, connects without credentials, and a
    /// Sentinel that requires credentials gets those of the Redis servers.
    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let mut connection = connection::connect_once(&self.server).await;
        let Some(fallback) = &self.fallback else { return connection };
        let refused = match &mut connection {
            Ok(connection) => match redis::cmd("PING").query_async::<()>(connection).await {
                Ok(()) => false,
                Err(error) => error.code() == Some("NOAUTH"),
            },
            Err(error) => connection::is_refusal(error),
        };
        if refused { connection::connect_once(fallback).await } else { connection }
    }
}
