//! Connections to Redis: the one place where topologies, timeouts and reconnecting are known.
//!
//! A [`Link`] is one runtime's shared multiplexed connection. The library's own connection never comes back once it is
//! lost, and its `ConnectionManager` never leaves a black-holed one, so a background task here owns it: while it is
//! down requests fail at once, and one task reconnects. [`Address::exclusive`] hands out connections of their own.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use deadpool_redis::{Pool, PoolError, Runtime};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo, ProtocolVersion,
    PushInfo, PushKind, RedisError, RedisResult, ScriptInvocation, ServerErrorKind, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::{OpenError, outage};
use crate::{
    error::{Error, Outage},
    secret::Secret,
};

/// Two of them in a row stay under the second within which a client is to hear of an outage.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(400);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// Finds a lost, frozen or demoted server while nobody asks.
const HEARTBEAT: Duration = Duration::from_millis(250);
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
/// Low enough that service is back within a second of Redis' return.
const BACKOFF_LAST: Duration = Duration::from_millis(250);
/// One slow answer is a hiccup; this many in a row are a dead connection.
const TIMEOUTS_IN_A_ROW: u32 = 2;
/// Exclusive connections serve start-up checks: few, and seldom.
const EXCLUSIVE_CONNECTIONS: usize = 2;

/// Where Redis is, and how to connect.
#[derive(Clone)]
pub(super) struct Address {
    client: Client,
    pool: Pool,
    name: Arc<str>,
}

impl Address {
    pub(super) fn new(url: &Secret) -> Result<Self, OpenError> {
        // The library's message may quote the URL, which may hold a password.
        let malformed = |_| {
            OpenError::Settings(
                "REDIS_URL must have the form redis://[user:password@]host[:port][/database]".to_owned(),
            )
        };
        let info = url.expose().into_connection_info().map_err(malformed)?;
        let redis_settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.set_redis_settings(redis_settings).set_tcp_settings(tcp_settings());
        let name = info.addr().to_string().into();
        let pool = pool(info.clone()).map_err(|error| OpenError::Failed(error.to_string()))?;
        Ok(Self { client: Client::open(info).map_err(malformed)?, pool, name })
    }

    /// Host and port.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A connection that nobody else uses until it is dropped.
    pub(super) async fn exclusive(&self) -> Result<deadpool_redis::Connection, ExclusiveError> {
        match self.pool.get().await {
            Ok(connection) => Ok(connection),
            Err(PoolError::Backend(error)) => Err(ExclusiveError::Redis(error)),
            Err(error) => Err(ExclusiveError::Pool(error.to_string())),
        }
    }

    /// Connects, and accepts only a primary: a replica that is cut off goes on accepting removed tokens.
    async fn connect(&self, lost: Arc<Notify>) -> RedisResult<MultiplexedConnection> {
        let config = connection_config().set_push_sender(move |message: PushInfo| {
            if message.kind == PushKind::Disconnection {
                lost.notify_one();
            }
            Ok::<_, redis::aio::SendError>(())
        });
        let connecting = async {
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            check_role(&mut connection).await?;
            Ok(connection)
        };
        timeout(CONNECT_TIMEOUT, connecting)
            .await
            .unwrap_or_else(|_| Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))))
    }
}

fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(5)).with_interval(Duration::from_secs(1));
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(Duration::from_secs(2));
    settings
}

fn connection_config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
}

/// With all three timeouts set: the pool has none by default, and one `get` then waits for as long as TCP does.
fn pool(info: ConnectionInfo) -> RedisResult<Pool> {
    let manager = deadpool_redis::Manager::new_with_config(info, connection_config())?;
    Pool::builder(manager)
        .max_size(EXCLUSIVE_CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(CONNECT_TIMEOUT))
        .create_timeout(Some(CONNECT_TIMEOUT))
        .recycle_timeout(Some(RESPONSE_TIMEOUT))
        .build()
        .map_err(|error| RedisError::from(std::io::Error::other(error.to_string())))
}

/// Why there is no exclusive connection.
pub(super) enum ExclusiveError {
    /// The server's or the network's answer.
    Redis(RedisError),
    /// The pool's, which is a timeout.
    Pool(String),
}

impl std::fmt::Display for ExclusiveError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Redis(error) => f.write_str(&reason(error)),
            Self::Pool(message) => f.write_str(message),
        }
    }
}

/// Asks with HELLO, which every user may call, and which answers even while the server loads its data.
pub(super) async fn check_role(connection: &mut impl ConnectionLike) -> RedisResult<()> {
    let hello: std::collections::HashMap<String, Value> = redis::cmd("HELLO").query_async(connection).await?;
    match hello.get("role") {
        Some(Value::BulkString(role)) if role == b"master" => Ok(()),
        Some(Value::SimpleString(role)) if role == "master" => Ok(()),
        _ => Err(RedisError::from((ErrorKind::Server(ServerErrorKind::ReadOnly), "the server is a replica"))),
    }
}

pub(super) fn is_replica(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// Whether the server does not want this user, or has no such database.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
        || error.detail().is_some_and(|detail| detail.contains("DB index"))
}

/// What requests hear while there is no connection.
fn why(error: &RedisError) -> Outage {
    outage(error).unwrap_or(Outage::Refused)
}

/// For the log.
pub(super) fn reason(error: &RedisError) -> String {
    error.to_string()
}

/// One runtime's shared connection; dropping the link ends it.
pub(super) struct Link {
    state: Arc<State>,
    keeper: AbortHandle,
}

struct State {
    /// While there is no connection: why.
    current: Mutex<Result<Current, Outage>>,
    timeouts: AtomicU32,
    lost: Notify,
}

#[derive(Clone)]
struct Current {
    connection: MultiplexedConnection,
    /// Tells connections apart, so that a late error of an old one does not cost the new one its life.
    serial: u64,
}

impl Link {
    /// Returns once the first attempt to connect has ended, well or not.
    pub(super) async fn start(address: Address) -> Self {
        let state = Arc::new(State {
            current: Mutex::new(Err(Outage::Unreachable)),
            timeouts: AtomicU32::new(0),
            lost: Notify::new(),
        });
        let (tried, mut first_try) = watch::channel(false);
        let keeper = tokio::spawn(keep(address, Arc::clone(&state), tried)).abort_handle();
        // An error means that the task has ended, which it does only with the runtime.
        let _ = first_try.wait_for(|tried| *tried).await;
        Self { state, keeper }
    }

    pub(super) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        let mut current = self.state.current()?;
        let answer = command.query_async(&mut current.connection).await;
        self.state.judge(answer, current.serial)
    }

    /// EVALSHA; where the server does not know the script (it was restarted), it is loaded and run again.
    pub(super) async fn run_script<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Error> {
        let mut current = self.state.current()?;
        let answer = script.invoke_async(&mut current.connection).await;
        self.state.judge(answer, current.serial)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl State {
    fn current(&self) -> Result<Current, Error> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone().map_err(Error::Unavailable)
    }

    /// Drops a connection that will not serve again, so that the next request does not wait on it.
    fn judge<T>(&self, answer: RedisResult<T>, serial: u64) -> Result<T, Error> {
        let error = match answer {
            Ok(value) => {
                self.timeouts.store(0, Ordering::Relaxed);
                return Ok(value);
            }
            Err(error) => error,
        };
        let dead = if error.is_timeout() {
            self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= TIMEOUTS_IN_A_ROW
        } else {
            // Not NOPERM: it is about one command, and another connection would hear the same.
            error.is_unrecoverable_error()
                || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
                || matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
        };
        if dead {
            tracing::debug!(error = reason(&error), "connection to Redis dropped");
            self.drop_connection(serial, why(&error));
        }
        Err(error.into())
    }

    fn drop_connection(&self, serial: u64, why: Outage) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_ok_and(|current| current.serial == serial) {
            *current = Err(why);
            self.lost.notify_one();
        }
    }

    fn stay_down(&self, why: Outage) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Err(why);
    }

    fn install(&self, connection: MultiplexedConnection, serial: u64) {
        self.timeouts.store(0, Ordering::Relaxed);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Ok(Current { connection, serial });
    }
}

/// Keeps one connection up, for ever.
async fn keep(address: Address, state: Arc<State>, tried: watch::Sender<bool>) {
    let mut backoff = BACKOFF_FIRST;
    let mut reported = false;
    for serial in 0.. {
        let lost = Arc::new(Notify::new());
        match address.connect(Arc::clone(&lost)).await {
            Ok(connection) => {
                if reported {
                    tracing::info!("Redis is back");
                }
                backoff = BACKOFF_FIRST;
                state.install(connection.clone(), serial);
                tried.send_replace(true);
                watch_over(connection, serial, &state, &lost).await;
                state.drop_connection(serial, Outage::Unreachable);
                tracing::warn!("the connection to Redis is lost, reconnecting");
                reported = true;
            }
            Err(error) => {
                if !reported {
                    tracing::warn!(error = reason(&error), "Redis cannot be used, trying again until it can");
                    reported = true;
                }
                state.stay_down(why(&error));
                tried.send_replace(true);
                sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF_LAST);
            }
        }
    }
}

/// Returns when the connection is of no more use.
async fn watch_over(mut connection: MultiplexedConnection, serial: u64, state: &State, lost: &Notify) {
    loop {
        tokio::select! {
            () = lost.notified() => return,
            () = state.lost.notified() => {}
            () = sleep(HEARTBEAT) => {
                let alive = check_role(&mut connection).await;
                // Counted and judged like a request; what it decides is read below.
                let _ = state.judge(alive, serial);
            }
        }
        let current = state.current();
        if !current.is_ok_and(|current| current.serial == serial) {
            return;
        }
    }
}
