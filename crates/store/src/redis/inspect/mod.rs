//! Inspects one Redis server: whether it keeps the data that it acknowledges, and whether our Redis user has the
//! permissions that we need. The inspection tries each feature, and never infers a feature from a version.

mod clock;
mod commands;
mod look;
mod probe;
mod settings;

use redis::{RedisResult, aio::ConnectionLike};

use self::look::Look;
pub(super) use self::{
    clock::{clock_skew, too_much},
    look::Needs,
};
use super::net::connection::Hello;
use crate::finding::{Finding, Verdict};

/// Runs all checks. An error means that the connection failed.
pub(super) async fn inspect(
    connection: &mut (impl ConnectionLike + Send),
    place: &str,
    hello: Hello,
    needs: Needs<'_>,
) -> RedisResult<Vec<Finding>> {
    let mut look = Look { place, findings: Vec::new() };
    let seen = format!("{} {}, {}", hello.server, hello.version, hello.mode);
    look.add("server", Verdict::Ok, seen, "");
    match hello.role.as_str() {
        "master" => look.add("role", Verdict::Ok, hello.role, ""),
        // The Sentinels or the cluster named this server as the primary, and will soon agree on another server.
        _ => look.add("role", Verdict::Warning, hello.role, "it was the primary a moment ago: run doctor again"),
    }
    look.clock(connection).await?;
    look.commands(connection, &needs).await?;
    look.settings(connection, &needs).await?;
    Ok(look.findings)
}
