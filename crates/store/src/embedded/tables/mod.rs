//! The tables of the file, their entries, and the reads and writes that the operations use.

mod definitions;
mod entries;
mod outbox;
mod reads;
mod snapshot;
mod writes;

pub(super) use self::{
    definitions::{EntryValue, FormatError, feed_key},
    entries::{AccessEntry, EpochEntry, RefreshEntry},
    reads::{Live, LiveSession, Reads},
    snapshot::{Snapshot, prepare},
    writes::Tables,
};
