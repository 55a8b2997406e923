//! The definitions of the tables, and the format of the file.

use std::fmt;

use auth_service_records::revocation::StreamId;
use auth_service_token::Id;
use redb::TableDefinition;

use crate::change::PendingKind;

/// Maps a user tag to the user record, see `record.rs` of the store.
pub(super) const USERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("users");
/// Maps a user tag to the epoch entry, which expires with the last of the user's tokens.
pub(super) const EPOCHS: TableDefinition<'_, &str, EntryValue> = TableDefinition::new("epochs");
/// Maps a [`session_key`] to the access entry, which expires with the session's last access token.
pub(super) const ACCESS: TableDefinition<'_, &str, EntryValue> = TableDefinition::new("access");
/// Maps a [`session_key`] to the refresh entry, which expires with the session's refresh token.
pub(super) const REFRESH: TableDefinition<'_, &str, EntryValue> = TableDefinition::new("refresh");
/// Maps a [`pending_key`] to an entry that waits for a confirmation.
pub(super) const PENDING: TableDefinition<'_, &str, EntryValue> = TableDefinition::new("pending");
/// The feed of revocations: maps a [`feed_key`] to the revoked id, which expires with the last token that it concerns.
pub(super) const REVOCATIONS: TableDefinition<'_, &str, EntryValue> = TableDefinition::new("revocations");
/// The outbox of webhooks: maps a [`feed_key`] to an event.
pub(super) const OUTBOX: TableDefinition<'_, &str, EventValue> = TableDefinition::new("outbox");
/// The events that nobody delivers any more: maps a [`feed_key`] to an event.
pub(super) const DEAD_LETTERS: TableDefinition<'_, &str, EventValue> = TableDefinition::new("dead letters");
/// Maps [`TIME_KEY`] to the time of the store at its last write, in milliseconds since the Unix epoch, to the boot of
/// the machine, and to the milliseconds since the boot. The boot is empty if it is not known.
pub(super) const TIMES: TableDefinition<'_, &str, TimeValue> = TableDefinition::new("time");
/// Maps [`KEY_SET_KEY`] to the ES256 keys of the server, see `key_set/record.rs` of the store.
pub(super) const KEY_SETS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("key set");
/// Maps [`FORMAT_KEY`] to the format of the file.
pub(super) const FORMATS: TableDefinition<'_, &str, u64> = TableDefinition::new("format");

/// The expiry of an entry, in milliseconds since the Unix epoch, and its content: JSON with a version, an id, or a pending
/// value.
pub(in crate::embedded) type EntryValue = (u64, &'static [u8]);

/// An event: its id, the id of its user or an empty text, and its body.
pub(super) type EventValue = (&'static str, &'static str, &'static str);

/// The value of [`TIMES`].
pub(super) type TimeValue = (u64, &'static str, u64);

/// The only key of [`TIMES`].
pub(super) const TIME_KEY: &str = "last";
/// The only key of [`KEY_SETS`].
pub(super) const KEY_SET_KEY: &str = "keys";
/// The only key of [`FORMATS`].
pub(super) const FORMAT_KEY: &str = "version";
/// The file format that this program reads and writes: the tables, and the types of their keys and values.
pub(super) const FORMAT: u64 = 1;

/// Why the file cannot be used.
#[derive(Debug)]
pub(in crate::embedded) enum FormatError {
    /// A later version of this program wrote the file.
    Later,
    /// The file has tables but no format.
    Unknown,
    /// The file cannot be opened or read.
    Storage(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for FormatError {
    fn from(error: E) -> Self {
        Self::Storage(error.into())
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Later => f.write_str("a later version of auth-service wrote the file; run that version"),
            Self::Unknown => f.write_str("no released version of auth-service wrote the file; move the file away"),
            Self::Storage(error) => error.fmt(f),
        }
    }
}

/// The key of an entry of the feed. All keys have the same length, so that they are in the order of the ids.
pub(in crate::embedded) fn feed_key(id: StreamId) -> String {
    format!("{:020}-{:020}", id.millis, id.number)
}

/// The key of a session's entries.
pub(super) fn session_key(tag: Id, sid: Id) -> String {
    [tag.as_str(), ":", sid.as_str()].concat()
}

/// The key of a pending entry.
pub(super) fn pending_key(tag: Id, kind: PendingKind) -> String {
    let kind = match kind {
        PendingKind::PasswordReset => "reset",
        PendingKind::EmailVerification => "verify",
        PendingKind::EmailChange => "change",
        PendingKind::Totp => "totp",
    };
    [tag.as_str(), ":", kind].concat()
}

/// The session id in a key.
pub(super) fn sid_in(key: &str) -> Option<Id> {
    key.split_once(':').and_then(|(_, sid)| Id::parse(sid))
}

/// The first key of a user's sessions, and the first key after them.
pub(super) fn session_keys(tag: Id) -> (String, String) {
    // The semicolon follows the colon in ASCII.
    ([tag.as_str(), ":"].concat(), [tag.as_str(), ";"].concat())
}
