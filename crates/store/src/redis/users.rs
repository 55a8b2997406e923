//! Lists all accounts: one server after the other, each on one connection. `users.rs` of the store has the contract.
//!
//! A cursor of SCAN is valid only on the server that has given it, so the list ends with an error instead of continuing
//! on another server.

use std::{sync::Arc, time::Duration};

use auth_service_records::error::{Error, Outage};
use auth_service_token::Id;
use redis::{
    Value,
    aio::{ConnectionLike, MultiplexedConnection},
};

use super::{
    backend::{Backend, Primary},
    errors::to_error,
    keys::Keys,
    net::connection,
    store::{Redis, decode},
};
use crate::record::{StoredUser, decode_user};

/// How many keys of any kind the server looks at for a page.
const SCANNED_KEYS: usize = 1_000;
/// A page takes a server longer than a request.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// The list of all accounts.
pub struct Users {
    backend: Arc<Backend>,
    primaries: Vec<Primary>,
    /// The server that is listed now.
    at: usize,
    scan: Option<Scan>,
    /// Completes the moves that the list comes upon, which may concern another server.
    store: Option<Redis>,
}

/// The list of the accounts on one server.
struct Scan {
    connection: MultiplexedConnection,
    cursor: u64,
}

impl Users {
    pub(crate) async fn start(backend: Arc<Backend>) -> Result<Self, Error> {
        let primaries = backend.primaries().await.map_err(|error| to_error(&error))?;
        Ok(Self { backend, primaries, at: 0, scan: None, store: None })
    }

    pub(crate) async fn next_page(&mut self) -> Result<Vec<StoredUser>, Error> {
        while let Some(primary) = self.primaries.get(self.at) {
            let mut scan = match self.scan.take() {
                Some(scan) => scan,
                None => Scan::start(primary).await?,
            };
            let page = scan.next_page(&self.backend.shared.keys).await?;
            let page = self.settled(page).await?;
            if scan.cursor == 0 {
                // A primary that has become a replica may have read its data anew from another server.
                connection::check_role(&mut scan.connection).await.map_err(|error| to_error(&error))?;
                self.at += 1;
            } else {
                self.scan = Some(scan);
            }
            if self.at == self.primaries.len() {
                self.check_servers().await?;
            }
            if !page.is_empty() {
                return Ok(page);
            }
        }
        Ok(Vec::new())
    }

    /// The accounts of these records. A record with the mark of a move is no account yet.
    async fn settled(&mut self, page: Vec<(Id, StoredUser)>) -> Result<Vec<StoredUser>, Error> {
        let mut users = Vec::with_capacity(page.len());
        for (tag, stored) in page {
            if stored.mark.is_none() {
                users.push(stored);
                continue;
            }
            let store = match &self.store {
                Some(store) => store,
                None => self.store.insert(self.backend.connect().await),
            };
            users.extend(store.find_user(tag).await?);
        }
        Ok(users)
    }

    /// Fails if a slot has moved since the start of the list, because its accounts may have moved past the list.
    async fn check_servers(&self) -> Result<(), Error> {
        let now = self.backend.primaries().await.map_err(|error| to_error(&error))?;
        let place = |primary: &Primary| (primary.server.addr().to_string(), primary.slots.clone());
        if now.iter().map(place).eq(self.primaries.iter().map(place)) {
            Ok(())
        } else {
            // A server without slots is not in a cluster, so the Sentinels have named another primary.
            let is_cluster = now.iter().any(|primary| !primary.slots.is_empty());
            Err(Error::Unavailable(if is_cluster { Outage::ClusterDown } else { Outage::ReadOnly }))
        }
    }
}

impl Scan {
    async fn start(primary: &Primary) -> Result<Self, Error> {
        let connected = connection::connect_patiently(&primary.server, PAGE_TIMEOUT).await;
        Ok(Self { connection: connected.map_err(|error| to_error(&error))?, cursor: 0 })
    }

    /// The records among the next keys, with their tags. The last page sets the cursor to 0.
    async fn next_page(&mut self, names: &Keys) -> Result<Vec<(Id, StoredUser)>, Error> {
        let mut scan = redis::pipe();
        scan.cmd("SCAN").arg(self.cursor).arg("MATCH").arg(names.user_pattern()).arg("COUNT").arg(SCANNED_KEYS);
        let answer = self.send(&scan).await?.into_iter().next().unwrap_or(Value::Nil);
        let (cursor, keys): (u64, Vec<Vec<u8>>) = decode(answer)?;
        let tags: Vec<_> = keys.iter().filter_map(|key| names.tag_of_user(key)).collect();
        let mut get = redis::pipe();
        for tag in &tags {
            get.cmd("GET").arg(names.user(*tag));
        }
        let records = if get.is_empty() { Vec::new() } else { self.send(&get).await? };
        self.cursor = cursor;
        // A record is missing if the account was deleted after the SCAN.
        let read = |(tag, record): (Id, Value)| {
            let stored = decode::<Option<Vec<u8>>>(record)?.map(decode_user).transpose()?;
            Ok(stored.map(|stored| (tag, stored)))
        };
        tags.into_iter().zip(records).map(read).filter_map(Result::transpose).collect()
    }

    async fn send(&mut self, pipe: &redis::Pipeline) -> Result<Vec<Value>, Error> {
        let answers = self.connection.req_packed_commands(pipe, 0, pipe.len()).await;
        let answers = answers.and_then(|answers| answers.into_iter().map(Value::extract_error).collect());
        answers.map_err(|error| to_error(&error))
    }
}
