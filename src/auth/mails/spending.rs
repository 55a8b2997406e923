//! The check of a token that a client sends.

use auth_service_records::{error::Error, mail_token::MailToken};
use auth_service_store::StoredUser;
use auth_service_token::Id;

use super::entry::{Entry, pending_kind};
use crate::{
    audit::{Caller, Event, Subject},
    auth::service::Auth,
};

/// The maximum number of tries of a write, if the account changes between the read and the write.
pub(super) const TRIES: usize = 3;

/// What a token has confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// The address of the account.
    Email,
    /// The change to another address.
    NewEmail,
}

/// A token that the store knows, and its account.
pub(super) struct Known {
    pub(super) entry: Entry,
    pub(super) stored: StoredUser,
}

impl Auth {
    /// Counts a token from a mail as a wrong one, like a guess at a password. [`Auth::close_token`] takes the count
    /// back. Returns the name of the address, if there is a limit on wrong tokens.
    ///
    /// # Errors
    /// [`Error::Throttled`].
    pub(super) async fn count_token(&self, caller: &Caller) -> Result<Option<Id>, Error> {
        self.count_failure(caller).await.map_err(|seconds| {
            self.parts.audit.record(Event::Throttled, caller, Subject::default());
            Error::Throttled(seconds)
        })
    }

    /// Takes back the count of a token, unless the token was wrong.
    pub(super) async fn close_token<T>(&self, counted: Option<Id>, outcome: Result<T, Error>) -> Result<T, Error> {
        if !matches!(outcome, Err(Error::InvalidMailToken)) {
            self.uncount(counted).await;
        }
        outcome
    }

    /// The entry of a token, and the account.
    ///
    /// # Errors
    /// An error of the store; or [`Error::InvalidMailToken`] if the token is forged, spent, replaced or expired, or if
    /// there is no such account.
    pub(super) async fn known(&self, token: &MailToken) -> Result<Known, Error> {
        let (tag, kind) = (token.tag(), pending_kind(token.kind()));
        // The account first, because this read completes a change of the email that an outage has cut off. A client that
        // repeats the spent token of that change gets no answer about the token before the change is complete.
        let stored = self.store.find_user(tag).await?;
        let value = self.store.find_pending(tag, kind).await?;
        let entry = Entry::open(value.ok_or(Error::InvalidMailToken)?, token)?;
        Ok(Known { entry, stored: stored.ok_or(Error::InvalidMailToken)? })
    }
}
