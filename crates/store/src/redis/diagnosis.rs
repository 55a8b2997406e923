//! Explains which setting is wrong, after an error or when a server is of the wrong kind.

use redis::RedisError;

use super::{
    errors,
    net::{
        connection::{self, Hello},
        sentinel,
        url::Topology,
    },
};
use crate::open_error::OpenError;

/// A sentence that says why the server `name` cannot be used now.
///
/// # Errors
/// If a setting is wrong, so that no retry will help: a sentence that says what to write instead.
pub(super) fn explain(topology: &Topology, name: &str, error: &RedisError) -> Result<String, OpenError> {
    let reason = errors::reason(error).text;
    if sentinel::is_unknown_service(error) {
        return Err(OpenError::Settings(format!(
            "REDIS_URL: {reason}; the form is redis+sentinel://host1,host2/service; SENTINEL MASTERS lists the names"
        )));
    }
    if connection::is_refusal(error) {
        let sentinels = match topology {
            Topology::Sentinel { .. } => {
                " (Sentinels take REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD, if set)"
            }
            _ => "",
        };
        return Err(OpenError::Settings(format!(
            "Redis at {name} refused REDIS_URL's user name, password or database: {reason}{sentinels}"
        )));
    }
    match (topology, error.detail().unwrap_or_default()) {
        (Topology::Sentinel { .. }, detail) if detail.contains("unknown command") => Err(OpenError::Settings(
            "REDIS_URL names Sentinels, but the server is not a Sentinel: for the server itself use redis://host"
                .to_owned(),
        )),
        (Topology::Cluster, detail) if detail.contains("cluster support disabled") => Err(OpenError::Settings(
            "REDIS_URL names a cluster, but the server is not part of a cluster: use redis://host".to_owned(),
        )),
        (Topology::Cluster, detail) if detail.contains("unknown command") => Err(OpenError::Settings(
            "REDIS_URL names a cluster, but the server is not part of a cluster: for Sentinels use \
             redis+sentinel://host1,host2/service, for a single server use redis://host"
                .to_owned(),
        )),
        _ if error.is_io_error() => {
            Ok(format!("Redis at {name} cannot be reached: {reason}; start Redis, or correct REDIS_URL"))
        }
        _ => Ok(format!("Redis at {name} is not ready: {reason}")),
    }
}

/// What to write into `REDIS_URL` instead, if the server is of another kind than the form of the URL says.
pub(super) fn wrong_server(topology: &Topology, name: &str, hello: &Hello) -> Option<String> {
    Some(match (topology, hello.mode.as_str(), hello.role.as_str()) {
        (_, "sentinel", _) => {
            format!("REDIS_URL names {name}, which is a Sentinel: use redis+sentinel://{name}/service")
        }
        (Topology::Single | Topology::Sentinel { .. }, "cluster", _) => {
            format!("REDIS_URL names {name}, which is a node of a cluster: use redis+cluster://{name}")
        }
        (Topology::Single, _, role) if role != "master" => {
            format!(
                "REDIS_URL names {name}, which is a replica, but only the primary accepts writes: use redis://primary, \
                 or redis+sentinel://host1,host2/service, which finds the primary"
            )
        }
        _ => return None,
    })
}
