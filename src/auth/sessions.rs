//! Use cases of sessions, each on behalf of their owner.

use super::{Auth, Authorized};
use crate::{
    audit::{Caller, Event, Subject},
    error::Error,
    id::Id,
    session::{Outcome, Session},
};

impl Auth {
    /// The caller's live sessions, newest first, each with whether it is the one that asks.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`], [`Error::TokenExpired`], or the store's.
    pub async fn sessions(&self, by: &Authorized) -> Result<Vec<(Session, bool)>, Error> {
        let sessions = self.store.list_sessions(by.claims.tag, Some(by.claims.sid)).await?;
        let sessions = sessions.ok_or_else(|| self.refused(by))?;
        Ok(sessions
            .into_iter()
            .map(|session| {
                let current = session.sid == by.claims.sid;
                (session, current)
            })
            .collect())
    }

    /// Ends one of the caller's sessions.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`], also for somebody else's and for no id (`None`); those of tokens, or the store's.
    pub async fn end_session(&self, caller: &Caller, by: &Authorized, sid: Option<Id>) -> Result<(), Error> {
        // Asked with an id that cannot exist, the caller must still be who it says.
        let Some(sid) = sid else {
            let lives = self.store.check_access(by.claims.tag, by.claims.sid).await?;
            return Err(if lives { Error::SessionNotFound } else { self.refused(by) });
        };
        match self.store.end_session(by.claims.tag, sid, Some(by.claims.sid)).await? {
            Outcome::Done => {}
            Outcome::NotThere => return Err(Error::SessionNotFound),
            Outcome::Refused => return Err(self.refused(by)),
        }
        self.shared.audit.record(Event::SessionEnded, caller, Subject::session(by.claims.sub, sid));
        Ok(())
    }

    /// Ends the session that asks.
    ///
    /// # Errors
    /// Those of tokens, or the store's.
    pub async fn sign_out(&self, caller: &Caller, by: &Authorized) -> Result<(), Error> {
        self.end_session(caller, by, Some(by.claims.sid)).await
    }

    /// Ends all of the caller's sessions but the one that asks.
    ///
    /// # Errors
    /// Those of tokens, or the store's.
    pub async fn end_other_sessions(&self, caller: &Caller, by: &Authorized) -> Result<(), Error> {
        match self.store.keep_only(by.claims.tag, by.claims.sid, Id::random()?, None).await? {
            Outcome::Done => {}
            Outcome::NotThere | Outcome::Refused => return Err(self.refused(by)),
        }
        let subject = Subject { user_id: Some(by.claims.sub), ..Subject::default() };
        self.shared.audit.record(Event::SessionEnded, caller, subject);
        Ok(())
    }
}
