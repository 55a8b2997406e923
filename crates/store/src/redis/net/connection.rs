//! Opens connections, asks servers for their role and version, and classifies errors.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, ErrorKind, PushInfo, PushKind, RedisError, RedisResult, ServerErrorKind, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::{sync::Notify, time::timeout};

use super::server::Server;

/// So short that two timeouts in a row take less than a second, because a client must learn of an outage within a
/// second.
pub(in crate::redis) const RESPONSE_TIMEOUT: Duration = Duration::from_millis(400);
pub(in crate::redis) const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// The name of our connections in CLIENT LIST.
const CLIENT_NAME: &str = "auth-service";

/// Connects, and accepts only a primary. A replica that has lost its primary would still accept removed tokens.
pub(in crate::redis) async fn connect(server: &Server, lost: Arc<Notify>) -> RedisResult<MultiplexedConnection> {
    let config = connection_config().set_push_sender(move |message: PushInfo| {
        if message.kind == PushKind::Disconnection {
            lost.notify_one();
        }
        Ok::<_, redis::aio::SendError>(())
    });
    let connecting = async {
        let mut connection = server.open(&config).await?;
        set_name(&mut connection).await;
        check_role(&mut connection).await?;
        Ok(connection)
    };
    timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(|_| Err(timed_out()))
}

/// Opens a connection that only the caller uses, to a server of any role.
pub(in crate::redis) async fn connect_once(server: &Server) -> RedisResult<MultiplexedConnection> {
    connect_patiently(server, RESPONSE_TIMEOUT).await
}

/// Like [`connect_once`], for commands that may take as long as `response_timeout`.
pub(in crate::redis) async fn connect_patiently(
    server: &Server,
    response_timeout: Duration,
) -> RedisResult<MultiplexedConnection> {
    let config = connection_config().set_response_timeout(Some(response_timeout));
    let connecting = async {
        let mut connection = server.open(&config).await?;
        set_name(&mut connection).await;
        Ok(connection)
    };
    timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(|_| Err(timed_out()))
}

/// Names the connection. HELLO needs no permission, unlike CLIENT SETNAME. A server that refuses the name does not
/// matter.
pub(in crate::redis) async fn set_name(connection: &mut impl ConnectionLike) {
    let _ = redis::cmd("HELLO").arg(3).arg("SETNAME").arg(CLIENT_NAME).exec_async(connection).await;
}

pub(in crate::redis) fn timed_out() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))
}

pub(in crate::redis) fn connection_config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
}

/// The answer of a server to HELLO.
pub(in crate::redis) struct Hello {
    /// `redis` or `valkey`.
    pub(in crate::redis) server: String,
    pub(in crate::redis) version: String,
    /// `master` or `replica`.
    pub(in crate::redis) role: String,
    /// `standalone`, `cluster` or `sentinel`.
    pub(in crate::redis) mode: String,
}

/// Sends HELLO. Every user may call HELLO, and a server answers it even while it loads its data.
pub(in crate::redis) async fn hello(connection: &mut impl ConnectionLike) -> RedisResult<Hello> {
    let mut hello: HashMap<String, Value> = redis::cmd("HELLO").query_async(connection).await?;
    let mut text = |name| hello.remove(name).map_or(Ok(String::new()), redis::from_redis_value);
    Ok(Hello { server: text("server")?, version: text("version")?, role: text("role")?, mode: text("mode")? })
}

/// Fails if the server is not a primary.
pub(in crate::redis) async fn check_role(connection: &mut impl ConnectionLike) -> RedisResult<()> {
    if hello(connection).await?.role == "master" {
        return Ok(());
    }
    Err(no_primary("the server is a replica"))
}

/// The error of a server that is not, or is no longer, the primary.
pub(in crate::redis) fn no_primary(why: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Server(ServerErrorKind::ReadOnly), why))
}

/// Whether the server is read-only. Before Redis 7 a script reports this as ERR, with the code READONLY in the text.
pub(in crate::redis) fn is_read_only(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
        || (error.code() == Some("ERR") && error.detail().is_some_and(|text| text.contains("READONLY")))
}

/// Whether the server refuses this user, or has no such database.
pub(in crate::redis) fn is_refusal(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
        || error.detail().is_some_and(|detail| detail.contains("DB index"))
}
