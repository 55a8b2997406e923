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
    pub(super) async fn count_link(&self, caller: &Caller, subject: Subject<'_>, tag: Id) -> Result<bool, Error> {
        let is_admitted = self.store.count_call(Counter::Mails, tag, Mails::limit_of_mailbox()).await?.is_none();
        if !is_admitted {
            self.parts.audit.record(Event::Throttled, caller, subject);
        }
        Ok(is_admitted)
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
        if !self.count_link(caller, subject, tag).await? {
            return Ok(false);
        }
        let token = self.new_token(MailTokenKind::EmailVerification, tag, None).await?;
        let message = Message::VerifyEmail { to: email.to_owned(), link: mails.link(&token) };
        place.send(&caller.request_id, message);
        Ok(true)
    }

    /// Tells the owner of an account about a change that has happened. A full queue must not undo the change, so the
    /// log tells that the notice is missing.
    pub(in crate::auth) fn notify(&self, caller: &Caller, user: &User, message: impl FnOnce(String) -> Message) {
        let Some(mails) = &self.parts.mails else { return };
        match mails.reserve() {
            Ok(place) => place.send(&caller.request_id, message(user.email.clone())),
            Err(_) => {
                let (user_id, request_id) = (user.id, &caller.request_id);
                tracing::warn!(%user_id, request_id, "a notice was not sent, because the queue of mails is full");
            }
        }
    }
}
