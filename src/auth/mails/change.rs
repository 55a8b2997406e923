//! Use cases of the change of an address.

use auth_service_mail::{Message, Place};
use auth_service_password::Password;
use auth_service_records::{
    error::Error,
    mail_token::{MailToken, MailTokenKind},
    user::{Email, User},
};
use auth_service_store::{Moved, PendingKind, Spent};

use super::{
    entry::NewEmail,
    spending::{Known, TRIES},
};
use crate::{
    audit::{Caller, Event, Subject},
    auth::{authorize::Authorized, guard::Verified, mail_queue::Mails, service::Auth},
};

impl Auth {
    /// Sends a link to the new address, and a notice to the current one. Until somebody opens the link, the current
    /// address stays in force, and the new one stays free. The work is the same whether or not the new address has an
    /// account.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], [`Error::MailNotConfigured`], [`Error::Overloaded`], [`Error::Throttled`],
    /// [`Error::TokenInvalid`], [`Error::TokenExpired`], or an error of the store.
    pub async fn change_email(
        &self,
        caller: &Caller,
        by: &Authorized,
        email: &Email,
        password: &Password,
    ) -> Result<(), Error> {
        let mails = self.mails()?;
        let places = (mails.reserve()?, mails.reserve()?);
        let Verified { stored, guess, .. } = self.verify_own_password(caller, by, password).await?;
        let requested = self.request_change(caller, mails, places, by, &stored.user, email).await;
        self.withdraw(guess).await;
        requested
    }

    async fn request_change(
        &self,
        caller: &Caller,
        mails: &Mails,
        (of_link, of_notice): (Place, Place),
        by: &Authorized,
        user: &User,
        email: &Email,
    ) -> Result<(), Error> {
        self.count_mail_of_address(caller, mails).await?;
        let (tag, subject) = (by.claims.tag, by.subject());
        // Both mailboxes have a limit, because the new one may be a stranger's. No link goes out without its notice.
        let kind = MailTokenKind::EmailChange;
        let admits_notice = self.count_notice(caller, subject, tag).await?;
        let admits_link = self.count_link(caller, subject, kind, email.tag()).await?;
        if !(admits_notice && admits_link) {
            return Ok(());
        }
        let change = NewEmail { user_id: user.id, email: email.clone() };
        let token = self.new_token(kind, tag, Some(&change)).await?;
        // The notice says that a new password ends the request. A password that was set before this request had its entry
        // could not end the request, so no link may go out.
        let stored = self.store.find_user(tag).await?;
        if stored.is_none_or(|stored| stored.user.password_hash != user.password_hash) {
            return Err(Error::Overloaded);
        }
        let link = Message::ChangeEmail { to: email.as_str().to_owned(), link: mails.link(&token) };
        of_link.send(&caller.request_id, link);
        of_notice.send(&caller.request_id, Message::EmailChangeRequested { to: user.email.clone() });
        self.record(Event::EmailChangeRequested, caller, subject).await
    }

    /// Changes the address of the account that `token` names, and ends all its sessions. The id of the user stays.
    pub(super) async fn confirm_new_email(&self, caller: &Caller, token: &MailToken) -> Result<(), Error> {
        for _ in 0..TRIES {
            let Known { entry, stored } = self.known(token).await?;
            let NewEmail { user_id, email } = entry.change.ok_or(Error::InvalidMailToken)?;
            if user_id != stored.user.id {
                return Err(Error::InvalidMailToken);
            }
            let user = User {
                email: email.as_str().to_owned(),
                email_verified_at: Some(self.now()),
                password_change: None,
                ..stored.user.clone()
            };
            let spent = Spent { kind: PendingKind::EmailChange, value: &entry.value };
            match self.store.move_user(token.tag(), email.tag(), &stored, &user, spent).await? {
                Moved::Done => {
                    self.notify(caller, token.tag(), &stored.user, |to| Message::EmailChanged { to }).await;
                    let subject = Subject { user_id: Some(user_id), email: Some(&email), ..Subject::default() };
                    return self.record(Event::EmailChanged, caller, subject).await;
                }
                Moved::Taken => return Err(Error::EmailTaken),
                // Another request has spent the token, or a sign-in has changed the account.
                Moved::NotThere => {}
            }
        }
        Err(Error::Overloaded)
    }
}
