//! The tables of the file, their entries, and the reads and writes that the operations use.

mod definitions;
mod entries;
mod reads;
mod snapshot;
mod writes;

pub(super) use self::{
    definitions::{EntryValue, FormatError},
    entries::{AccessEntry, EpochEntry, RefreshEntry},
    reads::{Live, LiveSession, Reads},
    snapshot::{Snapshot, prepare},
    writes::Tables,
};
