//! Writes that are acknowledged after replicas have confirmed them. Each write uses a connection of its own, because
//! WAIT covers the writes of one connection and blocks that connection.

use std::time::Duration;

use deadpool::{
    Runtime,
    managed::{Manager, Metrics, Object, Pool, PoolError, RecycleResult, TimeoutType},
};
use redis::{
    AsyncConnectionConfig, RedisError, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::time::{Instant, timeout_at};

use super::{
    connection::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT, connection_config, no_primary, set_name, timed_out},
    request::{Request, is_unpublished},
    server::Server,
};
use crate::{
    redis::keys::{Keys, Tag},
    settings::Wait,
};

/// The number of connections of each runtime. A write holds a connection for a round trip, or for the whole timeout if
/// the replicas are slow.
const CONNECTIONS: usize = 16;
/// How long a write waits for a connection when all are in use. The rest of the deadline is for the write.
const QUEUE_TIMEOUT: Duration = Duration::from_millis(150);

/// Connections to one primary.
#[derive(Clone)]
pub(super) struct Exclusive {
    pool: Pool<Opener>,
    wait: Wait,
    keys: Keys,
}

/// Opens the connections of a pool. (The library's own manager would keep the credentials of its start.)
struct Opener {
    server: Server,
    config: AsyncConnectionConfig,
}

type Connection = Object<Opener>;

impl Manager for Opener {
    type Type = MultiplexedConnection;
    type Error = RedisError;

    async fn create(&self) -> RedisResult<MultiplexedConnection> {
        let mut connection = self.server.open(&self.config).await?;
        set_name(&mut connection).await;
        Ok(connection)
    }

    async fn recycle(&self, connection: &mut MultiplexedConnection, _: &Metrics) -> RecycleResult<RedisError> {
        Ok(redis::cmd("PING").query_async(connection).await?)
    }
}

/// The outcome of a write.
pub(super) enum Written {
    /// Enough replicas have the write.
    Replicated(Value),
    /// The write was made, but too few replicas have confirmed it.
    NotReplicated(Option<RedisError>),
    /// All connections were in use; nothing was sent.
    PoolExhausted,
    /// The request failed. The write may still have been made if only the answer was lost.
    Failed(RedisError),
}

impl Exclusive {
    /// Makes a pool with all three timeouts. A pool has no timeouts by default, and `get` would wait as long as TCP
    /// does.
    pub(super) fn new(server: Server, wait: Wait, keys: Keys) -> RedisResult<Self> {
        let config = connection_config().set_response_timeout(Some(wait.timeout + RESPONSE_TIMEOUT));
        let pool = Pool::builder(Opener { server, config })
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(QUEUE_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(RESPONSE_TIMEOUT))
            .build()
            .map_err(|error| RedisError::from(std::io::Error::other(error.to_string())))?;
        Ok(Self { pool, wait, keys })
    }

    /// Sends a write and waits until replicas have it. Sends nothing if another server has become the primary in the
    /// meantime.
    pub(super) async fn write(
        &self,
        request: &Request<'_>,
        asking: bool,
        tag: Tag,
        deadline: Instant,
        is_current: impl Fn() -> bool,
    ) -> Written {
        let mut connection = match timeout_at(deadline, self.pool.get()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(PoolError::Timeout(TimeoutType::Wait))) => return Written::PoolExhausted,
            Ok(Err(PoolError::Backend(error))) => return Written::Failed(error),
            Ok(Err(_)) | Err(_) => return Written::Failed(timed_out()),
        };
        if !is_current() {
            return Written::Failed(no_primary("another server is the primary now"));
        }
        let answer = timeout_at(deadline, request.send(&mut *connection, asking)).await;
        let answer = match answer.unwrap_or_else(|_| Err(timed_out())) {
            Ok(answer) => answer,
            Err(error) => {
                put_back(connection, &error);
                return Written::Failed(error);
            }
        };
        if is_unpublished(&answer) {
            return Written::Replicated(answer);
        }
        let changed = !matches!(answer, Value::Nil | Value::Int(..=0));
        let replicas = timeout_at(deadline, self.replicas(&mut connection, asking, tag, changed)).await;
        match replicas.unwrap_or_else(|_| Err(timed_out())) {
            Ok(replicas) if replicas >= self.wait.replicas => Written::Replicated(answer),
            Ok(_) => Written::NotReplicated(None),
            Err(error) => {
                put_back(connection, &error);
                if changed { Written::NotReplicated(Some(error)) } else { Written::Failed(error) }
            }
        }
    }

    /// The number of replicas that have the last write of this connection. A request that had nothing to change has
    /// written nothing. In that case an extra SET makes WAIT cover the earlier writes, which may not have reached the
    /// replicas either. Other requests do not send the SET, because a server whose memory is full refuses it.
    async fn replicas(&self, connection: &mut Connection, asking: bool, tag: Tag, changed: bool) -> RedisResult<u32> {
        let mut pipe = redis::pipe();
        if !changed {
            if asking {
                pipe.cmd("ASKING");
            }
            pipe.cmd("SET").arg(self.keys.waited_for(tag)).arg(1).arg("PX").arg(1);
        }
        pipe.cmd("WAIT").arg(self.wait.replicas).arg(self.wait.timeout.as_millis() as u64);
        let mut replicas = Value::Nil;
        // Reads each answer here, because the library's errors of pipelines do not say what went wrong.
        for answer in connection.req_packed_commands(&pipe, 0, pipe.len()).await? {
            replicas = answer.extract_error()?;
        }
        Ok(redis::from_redis_value(replicas)?)
    }
}

/// Returns a connection to the pool, unless late answers may still arrive on it.
fn put_back(connection: Connection, error: &RedisError) {
    if error.is_timeout() || error.is_io_error() {
        drop(Connection::take(connection));
    }
}
