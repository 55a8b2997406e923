//! Writes that are answered when replicas have them, each on a connection of its own: WAIT speaks of one connection's
//! writes, and blocks it.

use std::time::Duration;

use deadpool_redis::{Connection, Manager, Pool, PoolError, Runtime, TimeoutType};
use redis::{ConnectionInfo, RedisError, RedisResult, Value, aio::ConnectionLike};
use tokio::time::{Instant, timeout_at};

use super::{
    connection::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT, connection_config, no_primary, timed_out},
    keys,
    request::Request,
};
use crate::{config::Wait, id::Id};

/// Of each runtime: each is held for a round trip, or for the whole timeout while replicas are slow.
const CONNECTIONS: usize = 16;
/// For a connection, when all are in use: what is left of the deadline must do for the write.
const QUEUE_TIMEOUT: Duration = Duration::from_millis(150);

/// Connections to one primary.
#[derive(Clone)]
pub(super) struct Exclusive {
    pool: Pool,
    wait: Wait,
}

/// What a write came to.
pub(super) enum Written {
    /// Enough replicas have it.
    Replicated(Value),
    /// It was made, but nobody knows of enough replicas that have it.
    NotReplicated(Option<RedisError>),
    /// All connections were in use; nothing was sent.
    Busy,
    /// As far as one can tell it was not made.
    Failed(RedisError),
}

impl Exclusive {
    /// With all three timeouts set: the pool has none by default, and one `get` then waits for as long as TCP does.
    pub(super) fn new(info: ConnectionInfo, wait: Wait) -> RedisResult<Self> {
        let config = connection_config().set_response_timeout(Some(wait.timeout + RESPONSE_TIMEOUT));
        let pool = Pool::builder(Manager::new_with_config(info, config)?)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(QUEUE_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(RESPONSE_TIMEOUT))
            .build()
            .map_err(|error| RedisError::from(std::io::Error::other(error.to_string())))?;
        Ok(Self { pool, wait })
    }

    /// Sends a write, unless another server has taken this one's place meanwhile, and asks whether replicas have it.
    pub(super) async fn write(
        &self,
        request: &Request<'_>,
        asking: bool,
        tag: Id,
        deadline: Instant,
        is_current: impl Fn() -> bool,
    ) -> Written {
        let mut connection = match timeout_at(deadline, self.pool.get()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(PoolError::Timeout(TimeoutType::Wait))) => return Written::Busy,
            Ok(Err(PoolError::Backend(error))) => return Written::Failed(error),
            Ok(Err(_)) | Err(_) => return Written::Failed(timed_out()),
        };
        if !is_current() {
            return Written::Failed(no_primary("another server is the primary by now"));
        }
        let answer = timeout_at(deadline, request.send(&mut connection, asking)).await;
        let answer = match answer.unwrap_or_else(|_| Err(timed_out())) {
            Ok(answer) => answer,
            Err(error) => {
                put_back(connection, &error);
                return Written::Failed(error);
            }
        };
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

    /// How many have what this connection wrote last. A request that found everything done already has written nothing:
    /// then one more write makes WAIT speak of what went before, which may not have reached the replicas either. (Not
    /// else, as a server whose memory is full refuses it.)
    async fn replicas(&self, connection: &mut Connection, asking: bool, tag: Id, changed: bool) -> RedisResult<u32> {
        let mut pipe = redis::pipe();
        if !changed {
            if asking {
                pipe.cmd("ASKING");
            }
            pipe.cmd("SET").arg(keys::waited_for(tag)).arg(1).arg("PX").arg(1);
        }
        pipe.cmd("WAIT").arg(self.wait.replicas).arg(self.wait.timeout.as_millis() as u64);
        let mut replicas = Value::Nil;
        // Past the library's errors of pipelines, which do not say what is wrong.
        for answer in connection.req_packed_commands(&pipe, 0, pipe.len()).await? {
            replicas = answer.extract_error()?;
        }
        Ok(redis::from_redis_value(replicas)?)
    }
}

/// Into the pool, unless answers may still be on their way.
fn put_back(connection: Connection, error: &RedisError) {
    if error.is_timeout() || error.is_io_error() {
        drop(Connection::take(connection));
    }
}
