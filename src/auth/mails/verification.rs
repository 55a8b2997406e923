//! Use cases of the verification of an address.

use auth_service_records::{
    error::Error,
    mail_token::{MailToken, MailTokenKind},
    session::Outcome,
    user::User,
};
use auth_service_store::{PendingKind, Spent};
use auth_service_token::Id;

use super::spending::{Confirmed, Known, TRIES};
use crate::{
    audit::{Caller, Event, Subject},
    auth::{authorize::Authorized, guard::Verified, service::Auth},
    config::EmailVerification,
};

impl Auth {
    /// Whether the profile of a user says if the address is verified.
    #[must_use]
    pub fn shows_email_verified(&self) -> bool {
        self.parts.mails.as_ref().is_some_and(|mails| mails.verification != EmailVerification::Off)
    }

    /// Sends a link that verifies the caller's address. Sends nothing if the address is verified.
    ///
    /// # Errors
    /// [`Error::MailNotConfigured`], [`Error::Overloaded`] if the queue of mails is full, [`Error::Throttled`] by the
    /// limit of the client address, [`Error::TokenInvalid`], [`Error::TokenExpired`], or an error of the store.
    pub async fn request_email_verification(&self, caller: &Caller, by: &Authorized) -> Result<(), Error> {
        let mails = self.mails()?;
        let access = self.store.check_access(by.claims.tag, by.claims.sid).await?.ok_or_else(|| self.refused(by))?;
        if access.email_verified {
            return Ok(());
        }
        let place = mails.reserve()?;
        self.count_mail_of_address(caller, mails).await?;
        let (subject, tag) = (by.subject(), by.claims.tag);
        if self.send_verification(caller, mails, place, &access.email, subject, tag).await? {
            self.record(Event::EmailVerificationRequested, caller, subject).await?;
        }
        Ok(())
    }

    /// Confirms what the holder of a token may confirm: the address of an account, or the change to another address.
    ///
    /// # Errors
    /// [`Error::InvalidMailToken`]; [`Error::EmailTaken`] for a change to an address that has an account meanwhile;
    /// [`Error::MailNotConfigured`], [`Error::Throttled`], [`Error::Overloaded`], or an error of the store.
    pub async fn verify_email(&self, caller: &Caller, token: &str) -> Result<Confirmed, Error> {
        self.mails()?;
        let counted = self.count_token(caller).await?;
        let outcome = match MailToken::parse(token) {
            Some(token) if token.kind() == MailTokenKind::EmailVerification => {
                self.confirm_email(caller, &token).await.map(|()| Confirmed::Email)
            }
            Some(token) if token.kind() == MailTokenKind::EmailChange => {
                self.confirm_new_email(caller, &token).await.map(|()| Confirmed::NewEmail)
            }
            _ => Err(Error::InvalidMailToken),
        };
        self.close_token(counted, outcome).await
    }

    async fn confirm_email(&self, caller: &Caller, token: &MailToken) -> Result<(), Error> {
        for _ in 0..TRIES {
            let Known { entry, stored } = self.known(token).await?;
            let user = User { email_verified_at: Some(self.now()), ..stored.user.clone() };
            let spent = Spent { kind: PendingKind::EmailVerification, value: &entry.value };
            if self.store.update_user(token.tag(), &stored, &user, Some(spent)).await? == Outcome::Done {
                let subject = Subject { user_id: Some(user.id), ..Subject::default() };
                return self.record(Event::EmailVerified, caller, subject).await;
            }
        }
        Err(Error::Overloaded)
    }

    /// Sends the link of a new account. A sign-up never fails because of the mail, since its client could not sign up
    /// again. The user can ask for another link.
    ///
    /// # Errors
    /// As [`Auth::record`].
    pub(in crate::auth) async fn ask_for_verification(
        &self,
        caller: &Caller,
        user: &User,
        tag: Id,
    ) -> Result<(), Error> {
        let Some(mails) = self.parts.mails.as_ref().filter(|mails| mails.verification != EmailVerification::Off) else {
            return Ok(());
        };
        let subject = Subject { user_id: Some(user.id), ..Subject::default() };
        let sent = match mails.reserve() {
            Ok(place) => self.send_verification(caller, mails, place, &user.email, subject, tag).await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(true) => self.record(Event::EmailVerificationRequested, caller, subject).await,
            Ok(false) => Ok(()),
            Err(error) => {
                let (user_id, request_id) = (user.id, &caller.request_id);
                tracing::warn!(%user_id, request_id, ?error, "a link that verifies an address was not sent");
                Ok(())
            }
        }
    }

    /// Refuses the sign-in of an account whose address is not verified, and sends another link, within the limits. The
    /// password was right, so the guess is taken back.
    ///
    /// # Errors
    /// [`Error::EmailNotVerified`], with `EMAIL_VERIFICATION=required`; or as [`Auth::record`].
    pub(in crate::auth) async fn check_email_verified(
        &self,
        caller: &Caller,
        verified: &Verified,
        tag: Id,
    ) -> Result<(), Error> {
        let Some(mails) = self.parts.mails.as_ref().filter(|mails| mails.verification == EmailVerification::Required)
        else {
            return Ok(());
        };
        let user = &verified.stored.user;
        if user.email_verified_at.is_some() {
            return Ok(());
        }
        self.withdraw(verified.guess).await;
        if self.count_mail_of_address(caller, mails).await.is_ok() {
            self.ask_for_verification(caller, user, tag).await?;
        }
        Err(Error::EmailNotVerified)
    }
}
