//! How a link finds its server.

use std::sync::Arc;

use redis::RedisResult;

use super::{sentinel::Sentinels, server::Server};

/// How a link finds its server.
#[derive(Clone)]
pub(in crate::redis) enum Source {
    /// A fixed address.
    Fixed(Box<Server>),
    /// The address that the Sentinels name.
    Sentinels(Arc<Sentinels>),
}

impl Source {
    pub(in crate::redis) async fn locate(&self) -> RedisResult<Server> {
        match self {
            Self::Fixed(server) => Ok(Server::clone(server)),
            Self::Sentinels(sentinels) => sentinels.primary().await,
        }
    }

    /// Whether this server is still the primary and no failover is running, as far as the Sentinels know.
    pub(super) async fn confirms_primary(&self, server: &Server) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Sentinels(sentinels) => sentinels.confirms_primary(server).await,
        }
    }

    /// Whether another server is the primary now. `false` if the Sentinels do not answer.
    pub(super) async fn has_moved(&self, server: &Server) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Sentinels(sentinels) => {
                sentinels.primary().await.is_ok_and(|primary| primary.addr() != server.addr())
            }
        }
    }
}
