//! The outbox of webhooks. `outbox.rs` of the store has the contracts.

use std::sync::LazyLock;

use auth_service_records::{
    error::Error,
    outbox::{Announcement, DEAD_LETTER_LIMIT, DEAD_LETTER_SECONDS, LEASE_MILLIS, OUTBOX_LIMIT, OutboxPage, Queued},
    revocation::StreamId,
};
use auth_service_token::Id;
use redis::Script;
use uuid::Uuid;

use super::{
    keys::{Key, Tag},
    net::request::Request,
    script::script,
    store::{Redis, unreadable},
};

/// The number of dead letters that one call of the script moves, so that no call keeps Redis busy for long.
const MOVED_AT_ONCE: u64 = 500;

/// How long a repetition of an announcement that too few replicas have confirmed adds nothing. Longer than the server tries.
const MARK_SECONDS: u64 = 120;

static ANNOUNCE: LazyLock<Script> = script!("outbox", "announce");
static READ: LazyLock<Script> = script!("read_outbox");
static RELEASE: LazyLock<Script> = script!("release_outbox");
static BURY: LazyLock<Script> = script!("outbox", "bury_event");
static RETRY: LazyLock<Script> = script!("retry_dead_letters");

/// An entry of a stream: the place, then names and values.
type Entry = (String, Vec<String>);

impl Redis {
    pub(crate) async fn announce(&self, announcement: &Announcement) -> Result<bool, Error> {
        let Announcement { id, user_id, body } = announcement;
        let user_id = user_id.map(|id| id.to_string()).unwrap_or_default();
        let oldest_letter = self.now_seconds().saturating_sub(DEAD_LETTER_SECONDS) * 1_000;
        let mut keys = Vec::from(self.outbox_and_dead());
        keys.extend(self.shared.wait.map(|_| self.keys().announced(*id)));
        let call = Request::call(&ANNOUNCE, &keys)
            .arg(OUTBOX_LIMIT)
            .arg(DEAD_LETTER_LIMIT)
            .arg(oldest_letter)
            .arg(MARK_SECONDS)
            .arg(("id", id.as_str()))
            .arg(("user", user_id))
            .arg(("body", body));
        Ok(self.run_lasting::<u64>(Tag::OUTBOX, &call).await? == 2)
    }

    pub(crate) async fn read_outbox(&self, server: Id, from: StreamId, limit: usize) -> Result<OutboxPage, Error> {
        let [outbox, dead] = self.outbox_and_dead();
        let call = Request::call(&READ, &[outbox, dead, self.keys().outbox_lease()])
            .arg(server.as_str())
            .arg(LEASE_MILLIS)
            .arg(from.to_string())
            .arg(limit);
        let (is_ours, length, dead_letters, oldest, events): (bool, u64, u64, String, Vec<Entry>) =
            self.run(Tag::OUTBOX, &call).await?;
        let events = events.into_iter().map(event).collect::<Result<_, _>>()?;
        Ok(OutboxPage { is_ours, length, dead_letters, oldest: StreamId::parse(&oldest), events })
    }

    pub(crate) async fn release_outbox(&self, server: Id) -> Result<(), Error> {
        let call = Request::call(&RELEASE, &[self.keys().outbox_lease()]).arg(server.as_str());
        self.run::<u64>(Tag::OUTBOX, &call).await.map(drop)
    }

    pub(crate) async fn remove_event(&self, place: StreamId) -> Result<(), Error> {
        let delete = Request::command("XDEL").arg(self.keys().outbox()).arg(place.to_string());
        self.run::<u64>(Tag::OUTBOX, &delete).await.map(drop)
    }

    pub(crate) async fn bury_event(&self, place: StreamId) -> Result<bool, Error> {
        let call = Request::call(&BURY, &self.outbox_and_dead()).arg(place.to_string()).arg(DEAD_LETTER_LIMIT);
        self.run_lasting(Tag::OUTBOX, &call).await
    }

    pub(crate) async fn dead_letters(&self) -> Result<Vec<Queued>, Error> {
        let read = Request::command("XRANGE").reading().arg(self.keys().dead_letters()).arg("-").arg("+");
        let entries: Vec<Entry> = self.run(Tag::OUTBOX, &read).await?;
        entries.into_iter().map(event).collect()
    }

    pub(crate) async fn retry_dead_letters(&self) -> Result<u64, Error> {
        let mut moved = 0;
        loop {
            let call = Request::call(&RETRY, &self.outbox_and_dead()).arg(MOVED_AT_ONCE);
            let count: u64 = self.run_lasting(Tag::OUTBOX, &call).await?;
            moved += count;
            if count < MOVED_AT_ONCE {
                return Ok(moved);
            }
        }
    }

    fn outbox_and_dead(&self) -> [Key<'_>; 2] {
        [self.keys().outbox(), self.keys().dead_letters()]
    }
}

fn event((place, fields): Entry) -> Result<Queued, Error> {
    let field = |name: &str| fields.chunks_exact(2).find(|field| field[0] == name).map(|field| field[1].as_str());
    let place = StreamId::parse(&place);
    let (id, body) = (field("id").and_then(Id::parse), field("body"));
    let (Some(place), Some(id), Some(body)) = (place, id, body) else { return Err(unreadable("an event")) };
    let user_id = field("user").and_then(|text| Uuid::parse_str(text).ok());
    Ok(Queued { place, announcement: Announcement { id, user_id, body: body.to_owned() } })
}
