//! The careful look at one Redis server: whether it can keep what it acknowledges, and whether the server's user may do
//! what it must. Features are tried, never inferred from a version.

mod clock;
mod commands;
mod look;
mod settings;

use redis::{RedisResult, aio::ConnectionLike};

use self::look::Look;
pub(super) use self::{
    clock::{clock_skew, too_much},
    look::Needs,
};
use super::net::connection::Hello;
use crate::finding::{Finding, Verdict};

/// Looks at everything. An error is the connection's.
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
        // Of Sentinels or a cluster, which will soon agree on another one.
        _ => look.add("role", Verdict::Warning, hello.role, "it was the primary a moment ago: look again"),
    }
    look.clock(connection).await?;
    look.commands(connection, &needs).await?;
    look.settings(connection, &needs).await?;
    Ok(look.findings)
}
