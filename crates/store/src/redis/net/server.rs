//! A server, and how to open a connection to it.

use std::sync::Arc;

use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisResult, aio::MultiplexedConnection};

use super::login::{Credentials, Login};

/// The address of a server, and the credentials and certificates that connections to it use.
#[derive(Clone)]
pub(in crate::redis) struct Server {
    /// Without credentials and certificates.
    info: ConnectionInfo,
    login: Arc<Login>,
}

impl Server {
    pub(super) fn new(info: ConnectionInfo, login: Arc<Login>) -> Self {
        Self { info, login }
    }

    pub(in crate::redis) fn addr(&self) -> &ConnectionAddr {
        self.info.addr()
    }

    /// Another server with the same options and the same login.
    pub(super) fn at(&self, addr: ConnectionAddr) -> Self {
        Self::new(self.info.clone().set_addr(addr), Arc::clone(&self.login))
    }

    /// The same server with database 0, because a Sentinel has no databases.
    pub(super) fn without_database(&self) -> Self {
        let redis = self.info.redis_settings().clone().set_db(0);
        Self::new(self.info.clone().set_redis_settings(redis), Arc::clone(&self.login))
    }

    /// The same server with another login.
    pub(super) fn with_login(self, login: &Arc<Login>) -> Self {
        Self { login: Arc::clone(login), ..self }
    }

    /// Opens a connection with what the files of the login hold now. If this fails, tries what worked last: a file may
    /// be half written, or the server may not know a new password yet.
    pub(super) async fn open(&self, config: &AsyncConnectionConfig) -> RedisResult<MultiplexedConnection> {
        let kept = self.login.kept();
        let Some(fresh) = self.login.replaced(&kept) else { return self.open_as(&kept, config).await };
        let error = match self.open_as(&fresh, config).await {
            Ok(connection) => {
                self.login.keep(fresh);
                return Ok(connection);
            }
            Err(error) => error,
        };
        match self.open_as(&kept, config).await {
            // The server works, so the fault lies in the files.
            Ok(connection) => {
                self.login.report(&format!("the new password or certificate for Redis does not work: {error}"));
                Ok(connection)
            }
            // The old ones may have been removed from the server. The error about the new ones says what to correct.
            Err(_) => Err(error),
        }
    }

    async fn open_as(
        &self,
        credentials: &Credentials,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let client = Client::open(credentials.apply(self.info.clone())?)?;
        client.get_multiplexed_async_connection_with_config(config).await
    }
}
