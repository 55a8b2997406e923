//! Reads and writes the events of webhooks.

use auth_service_records::{
    error::Error,
    outbox::{Announcement, DEAD_LETTER_LIMIT, DEAD_LETTER_SECONDS, OUTBOX_LIMIT, OutboxPage, Queued},
    revocation::StreamId,
};
use auth_service_token::Id;
use redb::{ReadableTable, ReadableTableMetadata, Table};
use uuid::Uuid;

use super::{
    definitions::{EventValue, feed_key},
    snapshot::Snapshot,
    writes::{Tables, next_place},
};
use crate::embedded::failure::Failure;

type Result<T> = std::result::Result<T, Failure>;

impl Snapshot {
    /// Up to `limit` events of the outbox from `from` on, oldest first, and the state of the outbox.
    pub(in crate::embedded) fn outbox(&self, from: StreamId, limit: usize) -> Result<OutboxPage> {
        let oldest = self.outbox.first()?.and_then(|(key, _)| StreamId::parse(key.value()));
        let (length, dead_letters) = (self.outbox.len()?, self.dead_letters.len()?);
        let events = read(&self.outbox, from, limit)?;
        Ok(OutboxPage { is_ours: true, length, dead_letters, oldest, events })
    }

    /// All dead letters, oldest first.
    pub(in crate::embedded) fn dead_letters(&self) -> Result<Vec<Queued>> {
        read(&self.dead_letters, StreamId::default(), usize::MAX)
    }
}

impl Tables<'_> {
    /// Adds an event to the outbox. Returns whether an older one had to become a dead letter.
    pub(in crate::embedded) fn add_event(&mut self, event: &Announcement, now: u64) -> Result<bool> {
        self.changed = true;
        let oldest = self.outbox.first()?.map(|(key, _)| key.value().to_owned());
        let is_full = self.outbox.len()? >= OUTBOX_LIMIT as u64;
        if let Some(oldest) = oldest.filter(|_| is_full) {
            self.bury_event(&oldest, now)?;
        }
        add(&mut self.outbox, event, now)?;
        Ok(is_full)
    }

    /// Removes an event from the outbox.
    pub(in crate::embedded) fn remove_event(&mut self, key: &str) -> Result<()> {
        self.changed = true;
        self.outbox.remove(key)?;
        Ok(())
    }

    /// Makes an event a dead letter. Returns whether the event was in the outbox.
    pub(in crate::embedded) fn bury_event(&mut self, key: &str, now: u64) -> Result<bool> {
        let Some(event) = self.outbox.get(key)?.map(|found| parse(found.value())).transpose()? else {
            return Ok(false);
        };
        self.remove_event(key)?;
        let too_old = StreamId { millis: now.saturating_sub(DEAD_LETTER_SECONDS * 1_000), number: 0 };
        self.dead_letters.retain_in(..feed_key(too_old).as_str(), |_, _| false)?;
        if self.dead_letters.len()? >= DEAD_LETTER_LIMIT as u64 {
            self.dead_letters.pop_first()?;
        }
        add(&mut self.dead_letters, &event, now)?;
        Ok(true)
    }

    /// Puts all dead letters back into the outbox. Returns their number.
    pub(in crate::embedded) fn retry_dead_letters(&mut self, now: u64) -> Result<u64> {
        let letters = read(&self.dead_letters, StreamId::default(), usize::MAX)?;
        for letter in &letters {
            self.changed = true;
            add(&mut self.outbox, &letter.announcement, now)?;
        }
        self.dead_letters.retain(|_, _| false)?;
        Ok(letters.len() as u64)
    }
}

fn add(table: &mut Table<'_, &'static str, EventValue>, event: &Announcement, now: u64) -> Result<()> {
    let place = next_place(table, now)?;
    let user_id = event.user_id.map(|id| id.to_string()).unwrap_or_default();
    table.insert(feed_key(place).as_str(), (event.id.as_str(), user_id.as_str(), event.body.as_str()))?;
    Ok(())
}

fn read(table: &impl ReadableTable<&'static str, EventValue>, from: StreamId, limit: usize) -> Result<Vec<Queued>> {
    let mut events = Vec::new();
    for row in table.range(feed_key(from).as_str()..)?.take(limit) {
        let (key, value) = row?;
        let place = StreamId::parse(key.value()).ok_or_else(unreadable)?;
        events.push(Queued { place, announcement: parse(value.value())? });
    }
    Ok(events)
}

fn parse((id, user_id, body): (&str, &str, &str)) -> std::result::Result<Announcement, Error> {
    let id = Id::parse(id).ok_or_else(unreadable)?;
    Ok(Announcement { id, user_id: Uuid::parse_str(user_id).ok(), body: body.to_owned() })
}

fn unreadable() -> Error {
    Error::Internal("an event cannot be read".to_owned())
}
