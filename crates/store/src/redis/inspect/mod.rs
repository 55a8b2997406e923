//! Inspects one Redis server: whether it keeps the data that it acknowledges, and whether our Redis user has the
//! permissions that we need. The inspection tries each feature, and never infers a feature from a version.

mod clock;
mod commands;
mod inspector;
mod probe;
mod settings;

use redis::{RedisResult, aio::ConnectionLike};

use self::inspector::Inspector;
pub(super) use self::inspector::Needs;
use super::net::connection::Hello;
use crate::finding::{Finding, Verdict};

/// Runs all checks. An error means that the connection failed.
pub(super) async fn inspect(
    connection: &mut (impl ConnectionLike + Send),
    place: &str,
    hello: Hello,
    needs: Needs<'_>,
) -> RedisResult<Vec<Finding>> {
    let mut inspector = Inspector { place, findings: Vec::new() };
    let seen = format!("{} {}, {}", hello.server, hello.version, hello.mode);
    inspector.add("server", Verdict::Ok, seen, "");
    match hello.role.as_str() {
        "master" => inspector.add("role", Verdict::Ok, hello.role, ""),
        // The Sentinels or the cluster named this server as the primary, and will soon agree on another server.
        _ => inspector.add("role", Verdict::Warning, hello.role, "it was the primary a moment ago: run doctor again"),
    }
    inspector.clock(connection).await?;
    inspector.commands(connection, &needs).await?;
    inspector.settings(connection, &needs).await?;
    Ok(inspector.findings)
}
