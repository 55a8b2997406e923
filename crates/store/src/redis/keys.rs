//! Key names. The braces make a user's tag the cluster hash tag, so that all keys of one user share a slot.

use std::{io::Write as _, sync::Arc};

use auth_service_records::throttle::Counter;
use auth_service_token::Id;
use redis::{RedisWrite, ToRedisArgs};

use super::slot::slot_of;
use crate::change::PendingKind;

/// Names the keys. Each name begins with the prefix of the settings.
#[derive(Clone)]
pub(super) struct Keys {
    prefix: Arc<str>,
}

/// The keys of a request belong to one user or address, or all replicas share them. Either way, they have one slot.
#[derive(Clone, Copy)]
pub(super) enum Tag {
    /// The keys whose hash tag is this digest.
    Of(Id),
    /// The key of this name that all replicas share, and the keys beside it.
    Single(&'static str),
}

impl Tag {
    pub(super) const KEY_SET: Self = Self::Single("keys");
    pub(super) const OUTBOX: Self = Self::Single("webhooks");
    pub(super) const REVOCATIONS: Self = Self::Single("revocations");
}

impl From<Id> for Tag {
    fn from(id: Id) -> Self {
        Self::Of(id)
    }
}

/// The name of a key. Its parts are joined only when a command is written, because a `String` for each name would cost
/// another allocation.
pub(super) struct Key<'a> {
    prefix: &'a str,
    tag: Tag,
    kind: &'static str,
    of: Option<Id>,
}

impl ToRedisArgs for Key<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut name = out.writer_for_next_arg();
        let of = self.of.as_ref().map_or("", Id::as_str);
        let parts = match &self.tag {
            Tag::Of(tag) => [self.prefix, "{", tag.as_str(), "", "}:", self.kind, of],
            Tag::Single(single) if self.kind.is_empty() => [self.prefix, single, "", "", "", "", ""],
            // The braces contain the whole name of the single key, so the slot is the same.
            Tag::Single(single) => [self.prefix, "{", self.prefix, single, "}:", self.kind, of],
        };
        for part in parts {
            // A write into memory does not fail.
            let _ = name.write_all(part.as_bytes());
        }
    }
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    fn key(&self, tag: Id, kind: &'static str, of: Option<Id>) -> Key<'_> {
        Key { prefix: &self.prefix, tag: Tag::Of(tag), kind, of }
    }

    /// The slot of all keys of a request.
    pub(super) fn slot(&self, tag: Tag) -> u16 {
        match tag {
            Tag::Of(tag) => slot_of(tag.as_str()),
            Tag::Single(name) => slot_of(&format!("{}{name}", self.prefix)),
        }
    }

    /// The ES256 keys of the replicas; never expires.
    pub(super) fn key_set(&self) -> Key<'_> {
        Key { prefix: &self.prefix, tag: Tag::KEY_SET, kind: "", of: None }
    }

    /// User record; never expires.
    pub(super) fn user(&self, tag: Id) -> Key<'_> {
        self.key(tag, "u", None)
    }

    /// The pattern of SCAN that matches the name of every user record. A prefix has no special characters of patterns.
    pub(super) fn user_pattern(&self) -> String {
        format!("{}{{*}}:u", self.prefix)
    }

    /// The tag of the account whose user record has this name. `None` for the name of another key.
    pub(super) fn tag_of_user(&self, name: &[u8]) -> Option<Id> {
        let tag = name.strip_prefix(self.prefix.as_bytes()).and_then(|rest| rest.strip_prefix(b"{"));
        let tag = tag.and_then(|rest| rest.strip_suffix(b"}:u")).and_then(|tag| std::str::from_utf8(tag).ok());
        tag.and_then(Id::parse)
    }

    /// Epoch entry; lives as long as the longest of the user's entries.
    pub(super) fn epoch(&self, tag: Id) -> Key<'_> {
        self.key(tag, "e", None)
    }

    /// Access entry; lives as long as the access token.
    pub(super) fn access(&self, tag: Id, sid: Id) -> Key<'_> {
        self.key(tag, "a:", Some(sid))
    }

    /// Refresh entry; lives as long as the refresh token.
    pub(super) fn refresh(&self, tag: Id, sid: Id) -> Key<'_> {
        self.key(tag, "r:", Some(sid))
    }

    /// Ids of the sessions by age; lives as long as the longest of the user's entries.
    pub(super) fn sessions(&self, tag: Id) -> Key<'_> {
        self.key(tag, "s", None)
    }

    /// Failed guesses from a known address, or from all unknown addresses together.
    pub(super) fn failures(&self, tag: Id, known: Option<Id>) -> Key<'_> {
        self.key(tag, if known.is_some() { "f:" } else { "f" }, known)
    }

    /// Exists while too few replicas have confirmed a sign-up, so that the client may repeat it.
    pub(super) fn unacknowledged(&self, tag: Id) -> Key<'_> {
        self.key(tag, "w", None)
    }

    /// Written for a moment, so that WAIT has a write to wait for.
    pub(super) fn waited_for(&self, tag: impl Into<Tag>) -> Key<'_> {
        Key { prefix: &self.prefix, tag: tag.into(), kind: "m", of: None }
    }

    /// An entry that waits for a confirmation; lives as long as the mail's link, or the enrolment, is valid.
    pub(super) fn pending(&self, tag: Id, kind: PendingKind) -> Key<'_> {
        let kind = match kind {
            PendingKind::PasswordReset => "p:reset",
            PendingKind::EmailVerification => "p:verify",
            PendingKind::EmailChange => "p:change",
            PendingKind::Totp => "p:totp",
        };
        self.key(tag, kind, None)
    }

    /// What became of a move to this account; lives longer than any server acts on what it has read before.
    pub(super) fn decision(&self, tag: Id, moving: Id) -> Key<'_> {
        self.key(tag, "d:", Some(moving))
    }

    /// Calls of an address, or mails to a mailbox; lives until the window of the count ends.
    pub(super) fn counter(&self, counter: Counter, address: Id) -> Key<'_> {
        let kind = match counter {
            Counter::Failures => "n:f",
            Counter::Removals => "n:d",
            Counter::SignUps => "n:s",
            Counter::Mails => "n:m",
            Counter::ResetLinks => "n:r",
            Counter::VerificationLinks => "n:v",
            Counter::ChangeLinks => "n:c",
            Counter::Notices => "n:o",
        };
        self.key(address, kind, None)
    }

    /// Check values of the signing secrets; never expires.
    pub(super) fn secrets(&self) -> String {
        format!("{}secrets", self.prefix)
    }

    /// The feed of revocations: a stream, which never expires as a whole.
    pub(super) fn revocations(&self) -> Key<'_> {
        Key { prefix: &self.prefix, tag: Tag::REVOCATIONS, kind: "", of: None }
    }

    /// The outbox of webhooks: a stream of events, which never expires as a whole.
    pub(super) fn outbox(&self) -> Key<'_> {
        self.of_outbox("", None)
    }

    /// The events that nobody delivers any more: a stream.
    pub(super) fn dead_letters(&self) -> Key<'_> {
        self.of_outbox("dead", None)
    }

    /// The id of the server that delivers; expires if that server no longer reads the outbox.
    pub(super) fn outbox_lease(&self) -> Key<'_> {
        self.of_outbox("lease", None)
    }

    /// Exists while the server may repeat the announcement of an event, so that the event is added once.
    pub(super) fn announced(&self, event: Id) -> Key<'_> {
        self.of_outbox("i:", Some(event))
    }

    fn of_outbox(&self, kind: &'static str, of: Option<Id>) -> Key<'_> {
        Key { prefix: &self.prefix, tag: Tag::OUTBOX, kind, of }
    }

    /// Written by each readiness check, to see that writes succeed.
    pub(super) fn probe(&self) -> String {
        format!("{}probe", self.prefix)
    }

    /// Like [`Keys::probe`], with a slot between `first` and `last`.
    pub(super) fn probe_between(&self, first: u16, last: u16) -> String {
        // A million numbers cover all 16,384 slots, so one of them is in the range.
        let mut tags = (0..1_000_000).map(|n: u32| n.to_string());
        let tag = tags.find(|tag| (first..=last).contains(&slot_of(tag))).unwrap_or_default();
        format!("{}{{{tag}}}:probe", self.prefix)
    }
}
