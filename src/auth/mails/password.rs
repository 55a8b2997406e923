//! Use cases of a forgotten password.

use auth_service_mail::Message;
use auth_service_password::Password;
use auth_service_records::{
    error::Error,
    mail_token::{MailToken, MailTokenKind},
    session::Outcome,
    user::{Email, User},
};
use auth_service_store::{PendingKind, Spent};

use super::spending::{Known, TRIES};
use crate::{
    audit::{Caller, Event, Subject},
    auth::service::Auth,
};

impl Auth {
    /// Sends a link that resets the password of an account. The same work and the same calls of the store for an unknown
    /// address, so that neither the answer nor its time tells whether there is an account (OWASP ASVS 5.0, clause
    /// 6.3.8).
    ///
    /// # Errors
    /// [`Error::MailNotConfigured`], [`Error::Overloaded`] if the queue of mails is full, [`Error::Throttled`] by the
    /// limit of the client address, or an error of the store.
    pub async fn forgot_password(&self, caller: &Caller, email: &Email) -> Result<(), Error> {
        let mails = self.mails()?;
        let place = mails.reserve()?;
        self.count_mail_of_address(caller, mails).await?;
        let tag = email.tag();
        let stored = self.store.find_user(tag).await?;
        let user_id = stored.as_ref().map(|stored| stored.user.id);
        let subject = Subject { user_id, email: Some(email), ..Subject::default() };
        let kind = MailTokenKind::PasswordReset;
        if !self.count_link(caller, subject, kind, tag).await? {
            return Ok(());
        }
        // Without an account, nobody ever learns the token.
        let token = self.new_token(kind, tag, None).await?;
        let link = mails.link(&token);
        match stored {
            // The mail goes to the address of the account, because the spelling in the request may differ.
            Some(stored) => place.send(&caller.request_id, Message::ResetPassword { to: stored.user.email, link }),
            None => place.send_nothing(),
        }
        // Only the audit trail has this event. A webhook would be one more call of the store for accounts that exist.
        self.parts.audit.record(Event::PasswordResetRequested, caller, subject);
        Ok(())
    }

    /// Replaces the password of the account that `token` names, and ends all its sessions in the same step. Spends the
    /// token. Its holder reads the mails of the account, so the address counts as verified.
    ///
    /// # Errors
    /// [`Error::InvalidMailToken`], which costs no hash; [`Error::WeakPassword`], which leaves the token valid;
    /// [`Error::MailNotConfigured`], [`Error::Throttled`], [`Error::Overloaded`], or an error of the store.
    pub async fn reset_password(&self, caller: &Caller, token: &str, new: Password) -> Result<(), Error> {
        self.mails()?;
        let counted = self.count_token(caller).await?;
        let outcome = self.reset_by_token(caller, token, new).await;
        self.close_token(counted, outcome).await
    }

    async fn reset_by_token(&self, caller: &Caller, token: &str, new: Password) -> Result<(), Error> {
        let token = MailToken::parse(token).filter(|token| token.kind() == MailTokenKind::PasswordReset);
        let token = token.ok_or(Error::InvalidMailToken)?;
        let mut known = self.known(&token).await?;
        let password_hash = self.hash_new_password(caller, new, &known.stored.user.email).await?;
        for _ in 0..TRIES {
            let Known { entry, stored } = &known;
            let user = User {
                password_hash: password_hash.clone(),
                // The session of the latest change ends, too.
                password_change: None,
                email_verified_at: stored.user.email_verified_at.or_else(|| Some(self.now())),
                ..stored.user.clone()
            };
            let spent = Spent { kind: PendingKind::PasswordReset, value: &entry.value };
            if self.store.replace_user(token.tag(), stored, &user, Some(spent)).await? == Outcome::Done {
                self.notify(caller, token.tag(), &user, |to| Message::PasswordChanged { to }).await;
                let subject = Subject { user_id: Some(user.id), ..Subject::default() };
                return self.record(Event::PasswordReset, caller, subject).await;
            }
            // Another request has spent the token, or a sign-in has changed the account.
            known = self.known(&token).await?;
        }
        Err(Error::Overloaded)
    }
}
