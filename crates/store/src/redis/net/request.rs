//! A request, and how it is sent to a server.

use redis::{Cmd, ErrorKind, RedisResult, Script, ServerErrorKind, ToRedisArgs, Value, aio::ConnectionLike};

use crate::{
    metrics::Kind,
    redis::keys::{Key, Tag},
    settings::Wait,
};

/// A command, or a call of a script. (The library's own call of a script allocates for each key and argument.)
pub(in crate::redis) struct Request<'a> {
    command: Cmd,
    /// The script of a call. If the server does not know the script, we load it and repeat the call.
    script: Option<&'a Script>,
    /// The serial of the only connection that may send the request.
    pub(super) connection: Option<u64>,
    /// A write, unless [`Request::reading`] says otherwise.
    pub(in crate::redis) kind: Kind,
}

impl<'a> Request<'a> {
    /// Starts a command. `arg` adds its arguments.
    pub(in crate::redis) fn command(name: &str) -> Self {
        // Enough room for a token check.
        let mut command = Cmd::with_capacity(6, 160);
        command.arg(name);
        Self { command, script: None, connection: None, kind: Kind::Write }
    }

    /// Starts a call of a script. `arg` adds its arguments.
    pub(in crate::redis) fn call(script: &'a Script, keys: &[Key<'_>]) -> Self {
        // Enough room for most calls.
        let mut command = Cmd::with_capacity(16, 512);
        command.arg("EVALSHA").arg(script.get_hash()).arg(keys.len()).arg(keys);
        Self { command, script: Some(script), connection: None, kind: Kind::Write }
    }

    pub(in crate::redis) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }

    /// Says that the request changes nothing.
    pub(in crate::redis) fn reading(mut self) -> Self {
        self.kind = Kind::Read;
        self
    }

    /// Lets the link send the request only while it has this connection, so only to the same process of the same server.
    pub(in crate::redis) fn on(mut self, connection: Option<u64>) -> Self {
        self.connection = connection;
        self
    }

    /// Sends the request. `asking` is set after another node has answered ASK: this node is importing the slot of the
    /// key.
    pub(super) async fn send(&self, connection: &mut (impl ConnectionLike + Send), asking: bool) -> RedisResult<Value> {
        let answer = self.send_once(connection, asking).await;
        match (answer, self.script) {
            (Err(error), Some(script)) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                Box::pin(async {
                    script.load_async(connection).await?;
                    self.send_once(connection, asking).await
                })
                .await
            }
            (answer, _) => answer,
        }
    }

    async fn send_once(&self, connection: &mut (impl ConnectionLike + Send), asking: bool) -> RedisResult<Value> {
        if !asking {
            return self.command.query_async(connection).await;
        }
        let mut pipeline = redis::pipe();
        pipeline.cmd("ASKING").add_command(self.command.clone());
        // Reads each answer here, because the library's errors of pipelines do not say where a slot has moved.
        let answers = Box::pin(connection.req_packed_commands(&pipeline, 0, pipeline.len())).await?;
        answers.into_iter().next_back().unwrap_or(Value::Nil).extract_error()
    }
}

/// How a request is sent.
#[derive(Clone, Copy)]
pub(in crate::redis) enum Mode {
    /// On the shared connection.
    Shared,
    /// On a connection of its own. The answer comes when replicas have this write and all earlier writes to the user's
    /// keys. The answer must be nil or a number below 1 if the request changes nothing, and must be anything else if it
    /// changes something.
    Replicated(Wait, Tag),
}

/// The first element of the answer of a script that ends nothing before the end is published.
const PUBLISH: &[u8] = b"publish";

/// Whether a script has changed nothing, because what it ends is not published yet.
pub(in crate::redis) fn is_unpublished(answer: &Value) -> bool {
    matches!(answer, Value::Array(items) if matches!(items.first(), Some(Value::BulkString(first)) if first == PUBLISH))
}
