//! The Redis that the tests of all stores share.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{
    certificates::Certificates, cluster::Cluster, ports::free_port, redis_server::RedisServer, sentinels::Sentinels,
};

/// The rights that the server and `doctor` need on Redis. docs/redis.md shows the same rights.
pub(crate) const ACL: &str = "~as:* +get +mget +set +del +exists +expire +pexpire +pttl +incrby +hset +hget +hmget \
    +hincrby +hdel +zadd +zrem +zcard +zrange +zrevrange +zrevrank +xadd +xtrim +xrange +xlen +xdel +time +wait +script|load \
    +evalsha +client|setname +ping +cluster|slots +asking +info +config|get +scan";

/// The Redis in the topology that `TEST_TOPOLOGY` names; by default, a single Redis with a user that has only [`ACL`].
pub(crate) enum Shared {
    Single(RedisServer),
    Tls { _redis: RedisServer, _certificates: Arc<Certificates>, port: u16 },
    Sentinel(Sentinels),
    Cluster(Cluster),
}

impl Shared {
    /// Starts the shared Redis, unless a test already uses it. It runs until the last user drops it.
    pub(crate) fn get() -> Arc<Self> {
        static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Self::start());
            *shared = Arc::downgrade(&new);
            new
        })
    }

    fn start() -> Self {
        match std::env::var("TEST_TOPOLOGY").as_deref() {
            Ok("tls") => {
                let (certificates, port) = (Certificates::shared(), free_port());
                Self::Tls { _redis: certificates.start_redis(port), _certificates: certificates, port }
            }
            Ok("sentinel") => Self::Sentinel(Sentinels::start()),
            Ok("cluster") => Self::Cluster(Cluster::start(&[])),
            Ok(other) => panic!("TEST_TOPOLOGY={other}: it must be tls, sentinel or cluster"),
            Err(_) => {
                let redis = RedisServer::start(&[]);
                let words = ["ACL", "SETUSER", "server", "on", ">secret"].into_iter().chain(ACL.split(' '));
                let () = redis.command(&words.collect::<Vec<_>>());
                Self::Single(redis)
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Single(redis) => redis.url().replace("redis://", "redis://server:secret@"),
            Self::Tls { port, .. } => format!("rediss://localhost:{port}"),
            Self::Sentinel(sentinels) => sentinels.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }
}
