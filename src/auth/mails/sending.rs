//! The limits on mails, and the sending of links and notices.

use auth_service_mail::{Message, Place};
use auth_service_records::{
    error::Error,
    mail_token::{MailToken, MailTokenKind},
    throttle::Counter,
    user::User,
};
use auth_service_token::Id;

use super::entry::{Entry, NewEmail, life_seconds, pending_kind};
use crate::{
    audit::{Caller, Event, Subject},
    auth::{mail_queue::Mails, service::Auth},
};

impl Auth {
    /// The queue and the settings of mails.
    ///
    /// # Errors
    /// [`Error::MailNotConfigured`].
    pub(super) fn mails(&self) -> Result<&Mails, Error> {
        self.parts.mails.as_ref().ok_or(Error::MailNotConfigured)
    }

    /// Counts a mail that the caller's address causes.
    ///
    /// # Errors
    /// [`Error::Throttled`].
    pub(super) async fn count_mail_of_address(&self, caller: &Caller, mails: &Mails) -> Result<(), Error> {
        self.count_call(caller, Counter::Mails, mails.limit_of_address()).await
    }

    /// Counts a link to the mailbox `tag`. Returns whether the mailbox may get the link. The answer of a use case must
    /// not depend on this, because a mailbox that gets no link keeps the latest link.
    ///
    /// # Errors
    /// An error of the store.
    pub(super) async fn count_link(
        &self,
        caller: &Caller,
        subject: Subject<'_>,
        kind: MailTokenKind,
        tag: Id,
    ) -> Result<bool, Error> {
        let counter = match kind {
            MailTokenKind::PasswordReset => Counter::ResetLinks,
            MailTokenKind::EmailVerification => Counter::VerificationLinks,
            MailTokenKind::EmailChange => Counter::ChangeLinks,
        };
        let wait = self.store.count_call(counter, tag, Mails::limit_of_links()).await?;
        Ok(self.admits_mail(caller, subject, wait))
    }

    /// Counts a notice to the mailbox `tag`. Returns whether the mailbox may get the notice.
    ///
    /// # Errors
    /// An error of the store.
    pub(super) async fn count_notice(&self, caller: &Caller, subject: Subject<'_>, tag: Id) -> Result<bool, Error> {
        let wait = self.store.count_call(Counter::Notices, tag, Mails::limit_of_notices()).await?;
        Ok(self.admits_mail(caller, subject, wait))
    }

    /// Whether a mailbox gets a mail, if the store tells it to wait this many seconds.
    fn admits_mail(&self, caller: &Caller, subject: Subject<'_>, wait: Option<u64>) -> bool {
        if wait.is_some() {
            self.parts.audit.record(Event::Throttled, caller, subject);
        }
        wait.is_none()
    }

    /// Makes a token for the account `tag`, and stores its entry, which replaces the entry of the former token.
    ///
    /// # Errors
    /// An error of the store.
    pub(super) async fn new_token(
        &self,
        kind: MailTokenKind,
        tag: Id,
        change: Option<&NewEmail>,
    ) -> Result<MailToken, Error> {
        let token = MailToken::random(kind, tag)?;
        let value = Entry::encode(&token, change);
        self.store.put_pending(tag, pending_kind(kind), &value, life_seconds(kind)).await?;
        Ok(token)
    }

    /// Sends a link that verifies the address of an account. Returns `false` if the limit of the mailbox is reached.
    ///
    /// # Errors
    /// An error of the store.
    pub(super) async fn send_verification(
        &self,
        caller: &Caller,
        mails: &Mails,
        place: Place,
        email: &str,
        subject: Subject<'_>,
        tag: Id,
    ) -> Result<bool, Error> {
        let kind = MailTokenKind::EmailVerification;
        if !self.count_link(caller, subject, kind, tag).await? {
            return Ok(false);
        }
        let token = self.new_token(kind, tag, None).await?;
        let message = Message::VerifyEmail { to: email.to_owned(), link: mails.link(&token) };
        place.send(&caller.request_id, message);
        Ok(true)
    }

    /// Tells the owner of the account `tag` about a change that has happened. Nothing here may undo the change, so the
    /// log tells that a full queue has no place for the notice, and the audit trail that the limit is reached.
    pub(in crate::auth) async fn notify(
        &self,
        caller: &Caller,
        tag: Id,
        user: &User,
        message: impl FnOnce(String) -> Message,
    ) {
        let Some(mails) = &self.parts.mails else { return };
        let (user_id, request_id) = (user.id, &caller.request_id);
        let Ok(place) = mails.reserve() else {
            tracing::warn!(%user_id, request_id, "a notice was not sent, because the queue of mails is full");
            return;
        };
        let subject = Subject { user_id: Some(user_id), ..Subject::default() };
        let counted = self.count_notice(caller, subject, tag).await.unwrap_or_else(|error| {
            // The owner should learn of the change. Nobody can cause the failure in order to send more notices.
            tracing::warn!(%user_id, request_id, ?error, "a notice could not be counted, so it is not limited");
            true
        });
        if counted {
            place.send(request_id, message(user.email.clone()));
        }
    }
}
