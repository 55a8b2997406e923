//! The feed of revocations, and the calls of scripts that end tokens. `ending.lua` says why such a call takes two runs.

use std::sync::LazyLock;

use auth_service_records::{
    error::{Error, Outage},
    revocation::{MARGIN_SECONDS, PAGE, Revocation, StreamId},
    session::Outcome,
};
use auth_service_token::{Id, LEEWAY_SECONDS};
use redis::{FromRedisValue, Script, Value};

use super::{
    keys::Tag,
    net::request::{Mode, Request, is_unpublished},
    script::script,
    store::{Redis, Servers, decode, unreadable},
};

/// The number of runs of a script that ends tokens. A run asks again only if the user has signed in anew since.
const RUNS: usize = 4;
/// The name of the fields of the stream.
const FIELD: &str = "id";

static PUBLISH_IDS: LazyLock<Script> = script!("publish");

/// What is published of an ending: as the script names it, for the next run, and where.
#[derive(Default)]
pub(super) struct Published {
    /// Epochs and session ids, each with a blank after it.
    names: String,
    /// The connection that has published. Only this connection may end the tokens, because another server, or a server
    /// that has restarted, may not have what was published. `None` in a cluster, where another node has the stream.
    connection: Option<u64>,
}

impl Redis {
    /// Runs a script that ends tokens, so that the answer survives a failover. `call` makes the call without its last
    /// argument. The script returns 1 if done, 0 if there was nothing to do, and -1 if the caller's session has no live
    /// access entry.
    pub(super) async fn end<'c>(&self, tag: Id, call: impl Fn() -> Request<'c>) -> Result<Outcome, Error> {
        Ok(match self.run_ending(tag, self.lasting(tag.into()), call).await? {
            1 => Outcome::Done,
            0 => Outcome::NotThere,
            _ => Outcome::Refused,
        })
    }

    /// Runs a script that may end tokens. `call` makes the call without its last argument.
    ///
    /// # Errors
    /// An error of the publication means that the script has ended nothing.
    pub(super) async fn run_ending<'c, T: FromRedisValue>(
        &self,
        tag: Id,
        mode: Mode,
        call: impl Fn() -> Request<'c>,
    ) -> Result<T, Error> {
        let mut published = Published::default();
        for _ in 0..RUNS {
            let request = call().arg(&published.names).on(published.connection);
            let answer = self.run_in(tag.into(), &request, mode).await?;
            if !is_unpublished(&answer) {
                return decode(answer);
            }
            Box::pin(self.publish_for(&mut published, answer, mode)).await?;
        }
        Err(Error::Overloaded)
    }

    /// Publishes what a script has named.
    async fn publish_for(&self, published: &mut Published, answer: Value, mode: Mode) -> Result<(), Error> {
        let names: Vec<String> = decode(answer)?;
        let (epoch, sids) = names.get(1..).and_then(<[_]>::split_first).ok_or_else(|| unreadable("an answer"))?;
        let eid = Some(epoch).filter(|epoch| !epoch.is_empty()).map(|epoch| Id::digest(epoch.as_bytes()));
        let ids: Vec<_> = eid.as_ref().map(Id::as_str).into_iter().chain(sids.iter().map(String::as_str)).collect();
        let (mode, connection) = match &self.servers {
            // The stream and the user are in the same flow of replication, so the wait of the ending covers both.
            Servers::One(link) => (Mode::Shared, Some(published.connection.map_or_else(|| link.connection(), Ok)?)),
            Servers::Cluster(_) => (mode, None),
        };
        published.connection = connection;
        self.add_to_feed(&ids, mode, connection).await?;
        for name in names.iter().skip(1) {
            published.names.push_str(name);
            published.names.push(' ');
        }
        Ok(())
    }

    pub(crate) async fn publish(&self, ids: &[&str]) -> Result<(), Error> {
        self.add_to_feed(ids, self.lasting(Tag::REVOCATIONS), None).await
    }

    async fn add_to_feed(&self, ids: &[&str], mode: Mode, connection: Option<u64>) -> Result<(), Error> {
        let mut add = Request::call(&PUBLISH_IDS, &[self.keys().revocations()]).arg(self.oldest_needed());
        for id in ids {
            add = add.arg((FIELD, *id));
        }
        match self.run_in::<Value>(Tag::REVOCATIONS, &add.on(connection), mode).await {
            // Only the publication is made. Nothing has ended, so the client can repeat its request.
            Err(Error::NotReplicated) => Err(Error::Unavailable(Outage::NotReplicated)),
            done => done.map(drop),
        }
    }

    /// The time, in milliseconds since the Unix epoch, before which no entry concerns a token that still lives. 0 for a
    /// command, which does not know how long tokens live.
    fn oldest_needed(&self) -> u64 {
        match self.policy().access_seconds {
            0 => 0,
            life => self.now_seconds().saturating_sub(life + LEEWAY_SECONDS + MARGIN_SECONDS) * 1_000,
        }
    }

    pub(crate) async fn revocations(&self, from: StreamId) -> Result<Vec<Revocation>, Error> {
        let read = Request::command("XRANGE").reading().arg(self.keys().revocations()).arg(from.to_string()).arg("+");
        let read = read.arg("COUNT").arg(PAGE);
        let entries: Vec<(String, Vec<String>)> = self.run(Tag::REVOCATIONS, &read).await?;
        let entry = |(id, fields): (String, Vec<String>)| {
            let id = StreamId::parse(&id).ok_or_else(|| unreadable("the id of a revocation"))?;
            let ids = fields.chunks_exact(2).filter(|field| field[0] == FIELD).map(|field| field[1].clone());
            Ok(Revocation { id, revoked: ids.collect() })
        };
        entries.into_iter().map(entry).collect()
    }
}
