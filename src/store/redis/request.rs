//! What is sent to a server, and how.

use redis::{Cmd, RedisResult, ScriptInvocation, Value, aio::ConnectionLike};

use crate::{config::Wait, id::Id};

/// What is sent to a server.
#[derive(Clone, Copy)]
pub(super) enum Request<'a> {
    Command(&'a Cmd),
    /// EVALSHA; where the server does not know the script (it was restarted), it is loaded and run again.
    Script(&'a ScriptInvocation<'a>),
}

impl Request<'_> {
    /// With `asking`, to the node that is taking over the key's slot, after a node has answered ASK.
    pub(super) async fn send(self, connection: &mut (impl ConnectionLike + Send), asking: bool) -> RedisResult<Value> {
        match self {
            _ if asking => Box::pin(self.send_asking(connection)).await,
            Self::Command(command) => command.query_async(connection).await,
            Self::Script(script) => script.invoke_async(connection).await,
        }
    }

    async fn send_asking(self, connection: &mut (impl ConnectionLike + Send)) -> RedisResult<Value> {
        let mut pipe = redis::pipe();
        pipe.cmd("ASKING");
        match self {
            Self::Command(command) => pipe.add_command(command.clone()),
            Self::Script(script) => {
                script.load_async(connection).await?;
                pipe.invoke_script(script)
            }
        };
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
