//! The slot of a key in a cluster.

use auth_service_token::Id;

/// The number of slots of a cluster.
pub(super) const SLOTS: u16 = 16_384;

/// The slot of every key whose hash tag is `tag`.
pub(super) fn slot(tag: Id) -> u16 {
    slot_of(tag.as_str())
}

/// The slot of every key whose hash tag is this text.
pub(super) fn slot_of(tag: &str) -> u16 {
    crc16::State::<crc16::XMODEM>::calculate(tag.as_bytes()) % SLOTS
}
