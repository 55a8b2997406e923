//! Operations on sessions and their tokens.

use auth_service_records::{
    error::Error,
    session::{Access, NewSession, Outcome, Page, Refreshed, Renewed, Session},
    user::User,
};
use auth_service_token::Id;

use crate::{change::Change, record::StoredUser, store::Store};

impl Store {
    /// Opens a session for an account that is still as it was `seen`, and writes `changed` in its place if given. The
    /// oldest sessions beyond the policy's number end. Forgets the failures of the account, both the shared count and that
    /// of the `known` address. `false` when the account has changed or gone; then nothing is changed.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn open_session(
        &self,
        tag: Id,
        seen: &StoredUser,
        changed: Option<&User>,
        session: &NewSession,
        known: Option<Id>,
    ) -> Result<bool, Error> {
        match self {
            Self::Redis(redis) => redis.open_session(tag, seen, changed, session, known).await,
            Self::Embedded(embedded) => embedded.open_session(tag, seen, changed, session, known).await,
        }
    }

    /// What a token check answers, if the session has a live access entry.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn check_access(&self, tag: Id, sid: Id) -> Result<Option<Access>, Error> {
        match self {
            Self::Redis(redis) => redis.check_access(tag, sid).await,
            Self::Embedded(embedded) => embedded.check_access(tag, sid),
        }
    }

    /// Sets the access entry of the session anew. With a `next_id`, spends the refresh token `refresh_id`, and `next_id`
    /// takes its place. A spent token gives its successor again for the policy's grace, and for as long as the successor
    /// has not been used; otherwise it ends the session.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn refresh(&self, tag: Id, sid: Id, refresh_id: Id, next_id: Option<Id>) -> Result<Refreshed, Error> {
        match self {
            Self::Redis(redis) => redis.refresh(tag, sid, refresh_id, next_id).await,
            Self::Embedded(embedded) => embedded.refresh(tag, sid, refresh_id, next_id).await,
        }
    }

    /// Sets the access entry of the session anew for a protected request that brought a refresh token, which is not spent.
    /// Spent tokens are treated as in [`Store::refresh`]. The new access token does not outlive the refresh token.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn renew(&self, tag: Id, sid: Id, refresh_id: Id) -> Result<Renewed, Error> {
        match self {
            Self::Redis(redis) => redis.renew(tag, sid, refresh_id).await,
            Self::Embedded(embedded) => embedded.renew(tag, sid, refresh_id).await,
        }
    }

    /// Live sessions of the user, newest first. `None` if a session is `asking` and has no live access entry.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn list_sessions(&self, tag: Id, asking: Option<Id>, page: Page) -> Result<Option<Vec<Session>>, Error> {
        match self {
            Self::Redis(redis) => redis.list_sessions(tag, asking, page).await,
            Self::Embedded(embedded) => embedded.list_sessions(tag, asking, page),
        }
    }

    /// Ends one session. If a session is `asking`, it must have a live access entry.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn end_session(&self, tag: Id, sid: Id, asking: Option<Id>) -> Result<Outcome, Error> {
        match self {
            Self::Redis(redis) => redis.end_session(tag, sid, asking).await,
            Self::Embedded(embedded) => embedded.end_session(tag, sid, asking).await,
        }
    }

    /// Ends all sessions on behalf of the one that is `asking`, and deletes their entries.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn end_sessions(&self, tag: Id, asking: Id) -> Result<Outcome, Error> {
        match self {
            Self::Redis(redis) => redis.end_sessions(tag, asking).await,
            Self::Embedded(embedded) => embedded.end_sessions(tag, asking).await,
        }
    }

    /// Ends all sessions but `sid`, which must have a live access entry and moves to the new `epoch`; deletes the entries
    /// of the others. With a `change`, also replaces the record, which must still be as it was seen, and forgets the
    /// failures of the account and of the `known` address.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn keep_only(&self, tag: Id, sid: Id, epoch: Id, change: Option<Change<'_>>) -> Result<Outcome, Error> {
        match self {
            Self::Redis(redis) => redis.keep_only(tag, sid, epoch, change).await,
            Self::Embedded(embedded) => embedded.keep_only(tag, sid, epoch, change).await,
        }
    }

    /// Ends all tokens of the user by deleting one key. Not there when none lived. If a session is `asking`, it must have
    /// a live access entry.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn remove_tokens(&self, tag: Id, asking: Option<Id>) -> Result<Outcome, Error> {
        match self {
            Self::Redis(redis) => redis.remove_tokens(tag, asking).await,
            Self::Embedded(embedded) => embedded.remove_tokens(tag, asking).await,
        }
    }
}
