//! What is sent to a server, and how.

use redis::{Cmd, ErrorKind, RedisResult, Script, ServerErrorKind, ToRedisArgs, Value, aio::ConnectionLike};

use super::keys::Key;
use crate::{config::Wait, id::Id};

/// What is sent to a server: a command, or a script's call. (The library's own call of a script has a piece of memory for
/// each key and argument, and then puts them together in another.)
pub(super) struct Request<'a> {
    command: Cmd,
    /// Loaded, and the call sent again, where the server does not know it: it was restarted.
    script: Option<&'a Script>,
}

impl<'a> Request<'a> {
    pub(super) fn command(name: &str) -> Self {
        // With room for a token check.
        let mut command = Cmd::with_capacity(4, 160);
        command.arg(name);
        Self { command, script: None }
    }

    /// Calls a script; its arguments are yet to be added.
    pub(super) fn call(script: &'a Script, keys: &[Key]) -> Self {
        Self::call_for(None, script, keys)
    }

    /// Calls a script on behalf of a session, if one asks: its key is the last.
    pub(super) fn call_for(asking: Option<Key>, script: &'a Script, keys: &[Key]) -> Self {
        // Few calls have more.
        let mut command = Cmd::with_capacity(16, 512);
        command.arg("EVALSHA").arg(script.get_hash()).arg(keys.len() + usize::from(asking.is_some()));
        command.arg(keys).arg(asking);
        Self { command, script: Some(script) }
    }

    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }

    /// With `asking`, to the node that is taking over the key's slot, after a node has answered ASK.
    pub(super) async fn send(&self, connection: &mut (impl ConnectionLike + Send), asking: bool) -> RedisResult<Value> {
        let answer = match asking {
            true => Box::pin(self.send_asking(connection)).await,
            false => self.command.query_async(connection).await,
        };
        match (answer, self.script) {
            (Err(error), Some(script)) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                Box::pin(async {
                    script.load_async(connection).await?;
                    if asking { self.send_asking(connection).await } else { self.command.query_async(connection).await }
                })
                .await
            }
            (answer, _) => answer,
        }
    }

    async fn send_asking(&self, connection: &mut (impl ConnectionLike + Send)) -> RedisResult<Value> {
        let mut pipe = redis::pipe();
        pipe.cmd("ASKING").add_command(self.command.clone());
        // Past the library's errors of pipelines, which do not say where a slot has gone.
        let answer = connection.req_packed_commands(&pipe, 1, 1).await?.pop().unwrap_or(Value::Nil);
        answer.extract_error()
    }
}

/// How a request is sent.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    Shared,
    /// On a connection of its own, and answered when replicas have it and what went before on the user's keys. A
    /// request that changes nothing must answer nil or a number below 1, and one that changes something must not.
    Replicated(Wait, Id),
}
