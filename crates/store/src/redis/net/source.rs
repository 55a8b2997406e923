//! Where a link finds its server.

use std::sync::Arc;

use redis::{ConnectionInfo, RedisResult};

use super::sentinel::Sentinels;

/// Where a link finds its server.
#[derive(Clone)]
pub(in crate::redis) enum Source {
    /// Always at the same place.
    Fixed(Box<ConnectionInfo>),
    /// Where the Sentinels say.
    Sentinels(Arc<Sentinels>),
}

impl Source {
    pub(in crate::redis) async fn locate(&self) -> RedisResult<ConnectionInfo> {
        match self {
            Self::Fixed(info) => Ok(ConnectionInfo::clone(info)),
            Self::Sentinels(sentinels) => sentinels.primary().await,
        }
    }

    /// Whether no other server is about to take the place of this one, as far as anybody can know.
    pub(super) async fn vouches_for(&self, info: &ConnectionInfo) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Sentinels(sentinels) => sentinels.vouch_for(info).await,
        }
    }

    /// Whether another server is the primary now. Sentinels that do not answer change nothing.
    pub(super) async fn has_moved(&self, info: &ConnectionInfo) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Sentinels(sentinels) => sentinels.primary().await.is_ok_and(|primary| primary.addr() != info.addr()),
        }
    }
}
