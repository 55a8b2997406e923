//! Sentinels: which server is the primary.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::{ConnectionInfo, ErrorKind, FromRedisValue, RedisError, RedisResult, aio::MultiplexedConnection};
use tokio::{sync::Mutex, task::JoinSet, time::timeout};

use super::{
    address::Address,
    connection::{self, timed_out},
};

/// A Sentinel that takes longer has no say this time.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(250);

/// The Sentinels of one service. What fewer than most of those in the address say is not believed: the others may be on
/// the far side of a network that is cut, and have another primary there.
pub(in crate::redis) struct Sentinels {
    address: Address,
    service: String,
    members: Vec<Arc<Sentinel>>,
}

struct Sentinel {
    info: ConnectionInfo,
    /// Kept between questions.
    connection: Mutex<Option<MultiplexedConnection>>,
}

/// What a Sentinel thinks of a primary.
struct View {
    host: String,
    port: u16,
    /// Grows with each failover.
    epoch: u64,
    well: bool,
    failing_over: bool,
}

impl Sentinels {
    pub(in crate::redis) fn new(address: Address, service: String) -> Self {
        let members = address.seeds.iter().map(|seed| Sentinel::new(seed.clone())).map(Arc::new).collect();
        Self { address, service, members }
    }

    /// The server that most of the Sentinels name.
    pub(in crate::redis) async fn primary(&self) -> RedisResult<ConnectionInfo> {
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
            _ => std::io::Error::other("fewer than most of the Sentinels name the same server").into(),
        })
    }

    /// Whether most Sentinels hold the server at `info` for the primary and find it well, and none is putting another
    /// one in its place or has done so. From a Sentinel's choice until the old primary hears of it, that one takes
    /// writes, and the replicas that are left confirm them; they are lost all the same.
    pub(in crate::redis) async fn vouch_for(&self, info: &ConnectionInfo) -> bool {
        let mut answers = self.ask_all(async |member, service| member.view_of(service).await);
        let mut views = Vec::new();
        // All of them are heard, as the one that is failing over may be the slowest.
        while let Some(answer) = answers.join_next().await {
            views.extend(answer.into_iter().flatten());
        }
        let names_it = |view: &&View| self.address.server(&view.host, view.port).addr() == info.addr();
        let epoch = views.iter().filter(names_it).map(|view| view.epoch).max();
        // One that was away may still name a primary of the past.
        let replaced = views.iter().any(|view| !names_it(&view) && Some(view.epoch) > epoch);
        let failing_over = views.iter().any(|view| view.failing_over);
        let well = views.iter().filter(names_it).filter(|view| view.well).count();
        well >= self.most() && !failing_over && !replaced
    }

    fn most(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// All at once.
    fn ask_all<T, F>(&self, question: impl Fn(Arc<Sentinel>, String) -> F) -> JoinSet<RedisResult<T>>
    where
        T: Send + 'static,
        F: Future<Output = RedisResult<T>> + Send + 'static,
    {
        self.members.iter().map(|member| question(Arc::clone(member), self.service.clone())).collect()
    }
}

/// Most Sentinels do not know the service.
fn unknown_service() -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, "no Sentinel knows a service of this name"))
}

pub(in crate::redis) fn is_unknown_service(error: &RedisError) -> bool {
    error.kind() == ErrorKind::InvalidClientConfig
}

impl Sentinel {
    /// A Sentinel has no databases, and usually no password.
    fn new(seed: ConnectionInfo) -> Self {
        let settings = seed.redis_settings().clone().set_db(0);
        Self { info: seed.set_redis_settings(settings), connection: Mutex::new(None) }
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

    /// Answers within the timeout, whoever else is asking.
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
        // If it is locked, somebody is replacing it.
        if let (Err(_), Ok(mut kept)) = (&answer, self.connection.try_lock()) {
            *kept = None;
        }
        answer
    }

    /// First without the user and password, which are the servers'; a Sentinel that asks for some gets the same.
    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let open = redis::RedisConnectionInfo::default().set_protocol(self.info.redis_settings().protocol());
        let mut connection = connection::connect_once(self.info.clone().set_redis_settings(open)).await;
        let refused = match &mut connection {
            Ok(connection) => match redis::cmd("PING").query_async::<()>(connection).await {
                Ok(()) => false,
                Err(error) => error.code() == Some("NOAUTH"),
            },
            Err(error) => connection::is_refusal(error),
        };
        if refused { connection::connect_once(self.info.clone()).await } else { connection }
    }
}
