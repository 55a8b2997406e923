//! The operations on sessions and their tokens.

use auth_service_records::{
    error::Error,
    session::{Access, NewSession, Outcome, Page, Refreshed, Renewed, Session},
    user::User,
};
use auth_service_token::Id;

use crate::{change::Change, record::StoredUser, store::Store};

impl Store {
    /// Opens a session if the account still equals `expected`. Replaces the account with `changed`, if given. Ends the
    /// oldest sessions beyond the limit of the policy. Resets the failures of the account: the shared count, and the
    /// count of the `known` address. Returns the epoch of the session. Returns `None` and changes nothing if the account
    /// has changed or no longer exists.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn open_session(
        &self,
        tag: Id,
        expected: &StoredUser,
        changed: Option<&User>,
        session: &NewSession,
        known: Option<Id>,
    ) -> Result<Option<Id>, Error> {
        match self {
            Self::Redis(redis) => redis.open_session(tag, expected, changed, session, known).await,
            Self::Embedded(embedded) => embedded.open_session(tag, expected, changed, session, known).await,
        }
    }

    /// The answer to a token check. `None` if the session has no live access entry.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn check_access(&self, tag: Id, sid: Id) -> Result<Option<Access>, Error> {
        match self {
            Self::Redis(redis) => redis.check_access(tag, sid).await,
            Self::Embedded(embedded) => embedded.check_access(tag, sid),
        }
    }

    /// Renews the access entry of the session. With a `next_id`, replaces the refresh token `refresh_id` with
    /// `next_id`. A spent token yields its successor again during the grace period of the policy, and for as long as
    /// the successor is unused. Otherwise the spent token ends the session.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn refresh(&self, tag: Id, sid: Id, refresh_id: Id, next_id: Option<Id>) -> Result<Refreshed, Error> {
        match self {
            Self::Redis(redis) => redis.refresh(tag, sid, refresh_id, next_id).await,
            Self::Embedded(embedded) => embedded.refresh(tag, sid, refresh_id, next_id).await,
        }
    }

    /// Renews the access entry of the session for a protected request with a refresh token. Does not spend the refresh
    /// token. Treats a spent token as [`Store::refresh`] does. The new access token does not outlive the refresh token.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn renew(&self, tag: Id, sid: Id, refresh_id: Id) -> Result<Renewed, Error> {
        match self {
            Self::Redis(redis) => redis.renew(tag, sid, refresh_id).await,
            Self::Embedded(embedded) => embedded.renew(tag, sid, refresh_id).await,
        }
    }

    /// The live sessions of the user, newest first. `None` if the session `caller` is given and has no live access
    /// entry.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn list_sessions(&self, tag: Id, caller: Option<Id>, page: Page) -> Result<Option<Vec<Session>>, Error> {
        match self {
            Self::Redis(redis) => redis.list_sessions(tag, caller, page).await,
            Self::Embedded(embedded) => embedded.list_sessions(tag, caller, page),
        }
    }

    /// Ends one session. The session `caller`, if given, must have a live access entry.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn end_session(&self, tag: Id, sid: Id, caller: Option<Id>) -> Result<Outcome, Error> {
        match self {
            Self::Redis(redis) => redis.end_session(tag, sid, caller).await,
            Self::Embedded(embedded) => embedded.end_session(tag, sid, caller).await,
        }
    }

    /// Ends all sessions on behalf of the session `caller`, and deletes their entries.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn end_sessions(&self, tag: Id, caller: Id) -> Result<Outcome, Error> {
        match self {
            Self::Redis(redis) => redis.end_sessions(tag, caller).await,
            Self::Embedded(embedded) => embedded.end_sessions(tag, caller).await,
        }
    }

    /// Ends all sessions except `sid`, and deletes their entries. `sid` must have a live access entry and moves to the
    /// new `epoch`. With a `change`, also replaces the record, which must still equal the expected one, deletes the
    /// pending entries except [`crate::PendingKind::EmailVerification`], and resets the failures of the account and of
    /// the `known` address, unless the account has a second factor.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn keep_only(&self, tag: Id, sid: Id, epoch: Id, change: Option<Change<'_>>) -> Result<Outcome, Error> {
        match self {
            Self::Redis(redis) => redis.keep_only(tag, sid, epoch, change).await,
            Self::Embedded(embedded) => embedded.keep_only(tag, sid, epoch, change).await,
        }
    }

    /// Ends all tokens of the user by deleting one key. Returns [`Outcome::NotThere`] if the user had no live token.
    /// The session `caller`, if given, must have a live access entry.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn remove_tokens(&self, tag: Id, caller: Option<Id>) -> Result<Outcome, Error> {
        match self {
            Self::Redis(redis) => redis.remove_tokens(tag, caller).await,
            Self::Embedded(embedded) => embedded.remove_tokens(tag, caller).await,
        }
    }
}
