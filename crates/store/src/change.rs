//! Changes of an account, and the entries that a change spends.

use auth_service_records::user::User;
use auth_service_token::Id;

use crate::record::StoredUser;

/// A change of an account, see [`crate::Store::keep_only`].
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The account as it was read.
    pub expected: &'a StoredUser,
    /// The account after the change.
    pub user: &'a User,
    /// The address of the caller, if the account knows it.
    pub known: Option<Id>,
}

/// What an account can wait for. It has at most one entry of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingKind {
    /// A new password, by a mail to the account's address.
    PasswordReset,
    /// The proof that mail to the account's address reaches its owner.
    EmailVerification,
    /// Another email, by a mail to the new address.
    EmailChange,
    /// A second factor, by its first code.
    Totp,
}

impl PendingKind {
    pub(crate) const ALL: [Self; 4] = [Self::PasswordReset, Self::EmailVerification, Self::EmailChange, Self::Totp];

    /// The kinds that a new password ends, because somebody who knew only the former password may have asked for them.
    pub(crate) const OF_A_PASSWORD: [Self; 3] = [Self::PasswordReset, Self::EmailChange, Self::Totp];
}

/// An entry that a change of the account spends. The change happens only if the entry still has exactly this value, and
/// deletes the entry in the same step.
#[derive(Clone, Copy)]
pub struct Spent<'a> {
    /// The kind of the entry.
    pub kind: PendingKind,
    /// The value as it was read.
    pub value: &'a [u8],
}

/// The outcome of a move of an account to another email.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// The account has its new email.
    Done,
    /// The new email belongs to another account. The account keeps its email.
    Taken,
    /// The account or the entry does not exist, or has changed since it was read. Nothing has changed.
    NotThere,
}
