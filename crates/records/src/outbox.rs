//! The outbox: security events on their way to the operator's URL.

use auth_service_token::Id;
use uuid::Uuid;

use crate::revocation::StreamId;

/// The largest number of events in the outbox. One more event makes the oldest one a dead letter.
pub const OUTBOX_LIMIT: usize = 100_000;
/// The largest number of dead letters. One more dead letter deletes the oldest one.
pub const DEAD_LETTER_LIMIT: usize = 10_000;
/// How long a dead letter stays, in seconds: 30 days.
pub const DEAD_LETTER_SECONDS: u64 = 30 * 24 * 60 * 60;
/// How long a server may deliver after its last read of the outbox, in milliseconds. Then another server takes over.
pub const LEASE_MILLIS: u64 = 10_000;

/// An event that the operator's URL gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The same for all deliveries of the event.
    pub id: Id,
    /// The events of a user are delivered one after the other. An event without a user waits for no other.
    pub user_id: Option<Uuid>,
    /// The body of the request, in JSON.
    pub body: String,
}

/// An event in the outbox, or a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// The place, which also has the time of the event.
    pub place: StreamId,
    /// The event.
    pub announcement: Announcement,
}

/// What a server reads from the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutboxPage {
    /// Whether this server delivers. Only one server does at a time.
    pub is_ours: bool,
    /// The number of events in the outbox.
    pub length: u64,
    /// The number of dead letters.
    pub dead_letters: u64,
    /// The place of the oldest event in the outbox.
    pub oldest: Option<StreamId>,
    /// The next events, oldest first. Empty if another server delivers.
    pub events: Vec<Queued>,
}
