//! What is sent to a server, and how.

use redis::{
    Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Script, ServerErrorKind, ToRedisArgs, Value, aio::ConnectionLike,
};

use super::keys::Key;
use crate::{config::Wait, id::Id};

/// What is sent to a server: a command, several at once, or a script's call. (The library's own call of a script has a
/// piece of memory for each key and argument, and then puts them together in another.)
pub(super) struct Request<'a> {
    commands: Commands,
    /// Loaded, and the call sent again, where the server does not know it: it was restarted.
    script: Option<&'a Script>,
}

enum Commands {
    One(Cmd),
    /// Boxed, as it is seldom: it would else be room in each request.
    Several(Box<Pipeline>),
}

impl<'a> Request<'a> {
    pub(super) fn command(name: &str) -> Self {
        Self { commands: Commands::One(command(name)), script: None }
    }

    /// Adds another command, whose arguments are yet to be added. It is carried out whatever the answer to those before
    /// it, and another client's may come between. The answer is an array of all answers, or the first error among them.
    pub(super) fn and(self, name: &str) -> Self {
        let mut pipeline = match self.commands {
            Commands::One(first) => {
                let mut pipeline = Box::new(Pipeline::with_capacity(5));
                pipeline.add_command(first);
                pipeline
            }
            Commands::Several(pipeline) => pipeline,
        };
        pipeline.add_command(command(name));
        Self { commands: Commands::Several(pipeline), script: None }
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
        Self { commands: Commands::One(command), script: Some(script) }
    }

    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        match &mut self.commands {
            Commands::One(command) => _ = command.arg(argument),
            Commands::Several(pipeline) => _ = pipeline.arg(argument),
        }
        self
    }

    /// With `asking`, to the node that is taking over the key's slot, after a node has answered ASK.
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
        match &self.commands {
            Commands::One(command) if !asking => command.query_async(connection).await,
            Commands::Several(pipeline) if !asking => Box::pin(send_all(pipeline, connection)).await,
            commands => Box::pin(send_asking(commands, connection)).await,
        }
    }
}

fn command(name: &str) -> Cmd {
    // With room for a token check.
    let mut command = Cmd::with_capacity(6, 160);
    command.arg(name);
    command
}

/// Past the library's errors of pipelines, which do not say where a slot has gone. Where it is leaving while the commands
/// are carried out, what the first of them found may still be here: to follow the others would leave half of it behind.
async fn send_all(pipeline: &Pipeline, connection: &mut (impl ConnectionLike + Send)) -> RedisResult<Value> {
    let mut answers = connection.req_packed_commands(pipeline, 0, pipeline.len()).await?;
    let Some(at) = answers.iter().position(|answer| matches!(answer, Value::ServerError(_))) else {
        return Ok(Value::Array(answers));
    };
    match answers.swap_remove(at).extract_error() {
        Err(error) if at > 0 && error.kind() == ErrorKind::Server(ServerErrorKind::Ask) => {
            Err(RedisError::from((ErrorKind::Server(ServerErrorKind::TryAgain), "the slot is moving")))
        }
        answer => answer,
    }
}

async fn send_asking(commands: &Commands, connection: &mut (impl ConnectionLike + Send)) -> RedisResult<Value> {
    let mut pipeline = redis::pipe();
    let each: Vec<_> = match commands {
        Commands::One(command) => vec![command],
        Commands::Several(several) => several.cmd_iter().collect(),
    };
    for command in each {
        pipeline.cmd("ASKING").add_command(command.clone());
    }
    let Value::Array(answers) = send_all(&pipeline, connection).await? else { return Ok(Value::Nil) };
    let mut answers: Vec<_> = answers.into_iter().skip(1).step_by(2).collect();
    Ok(match commands {
        Commands::One(_) => answers.pop().unwrap_or(Value::Nil),
        Commands::Several(_) => Value::Array(answers),
    })
}

/// How a request is sent.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    Shared,
    /// On a connection of its own, and answered when replicas have it and what went before on the user's keys. A
    /// request that changes nothing must answer nil or a number below 1, and one that changes something must not.
    Replicated(Wait, Id),
}
