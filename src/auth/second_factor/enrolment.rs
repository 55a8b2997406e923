//! The use cases that enable and remove the second factor.

use auth_service_mail::Message;
use auth_service_password::Password;
use auth_service_records::{
    error::Error,
    session::Outcome,
    user::{Totp, User},
};
use auth_service_store::{PendingKind, Spent, StoredUser};
use auth_service_totp::{Code, RecoveryCode, TotpSecret};

use super::check::recovery_digest;
use crate::{
    audit::{Caller, Event},
    auth::{
        authorize::Authorized,
        guard::{Guess, Verified},
        service::Auth,
    },
};

/// How long the user has to confirm a new second factor, in seconds.
const CONFIRM_SECONDS: u64 = 600;
/// The number of recovery codes of a second factor.
const RECOVERY_CODES: usize = 10;

/// A second factor that waits for its first code.
pub struct Enrolment {
    /// The secret in base32, for typing.
    pub secret: String,
    /// The same as an `otpauth://` URL, for a QR code.
    pub otpauth_url: String,
    /// How long the first code may take, in seconds.
    pub expires_in: u64,
}

impl Auth {
    /// Makes a secret for the caller's authenticator app, which replaces one that waits for its first code. The second
    /// factor counts only after [`Auth::confirm_totp`].
    ///
    /// # Errors
    /// [`Error::WrongPassword`], [`Error::TotpAlreadyEnabled`], [`Error::EmailNotVerified`] unless
    /// `EMAIL_VERIFICATION=off`, [`Error::Throttled`], [`Error::Overloaded`], [`Error::TokenInvalid`],
    /// [`Error::TokenExpired`], or an error of the store.
    pub async fn start_totp(&self, caller: &Caller, by: &Authorized, password: &Password) -> Result<Enrolment, Error> {
        let Verified { stored, guess, .. } = self.verify_own_password(caller, by, password).await?;
        self.withdraw(guess).await;
        let user = &stored.user;
        if user.totp.is_some() {
            return Err(Error::TotpAlreadyEnabled);
        }
        // Otherwise a stranger who signs up with the address of its owner first could lock the owner out: a reset by
        // mail leaves the second factor in place.
        if self.shows_email_verified() && user.email_verified_at.is_none() {
            return Err(Error::EmailNotVerified);
        }
        let secret = TotpSecret::generate()?;
        let url = secret.url(&issuer_name(&self.parties().issuer), &user.email);
        // Never happens, because neither name has a colon.
        let otpauth_url = url.ok_or_else(|| Error::Internal("a second factor has no URL".to_owned()))?;
        let sealed = self.parts.factor_keys.seal(user.id, secret.as_bytes())?;
        self.store.put_pending(by.claims.tag, PendingKind::Totp, sealed.as_bytes(), CONFIRM_SECONDS).await?;
        Ok(Enrolment { secret: secret.base32(), otpauth_url, expires_in: CONFIRM_SECONDS })
    }

    /// Enables the second factor after its first code, and returns the recovery codes, which the server never shows
    /// again. The sessions go on. Codes are limited as at a sign-in, because a thief of an access token could guess the
    /// code of a factor that waits.
    ///
    /// # Errors
    /// [`Error::WrongCode`], [`Error::TotpNotStarted`], [`Error::TotpAlreadyEnabled`], [`Error::Throttled`],
    /// [`Error::Overloaded`], [`Error::TokenInvalid`], [`Error::TokenExpired`], or an error of the store.
    pub async fn confirm_totp(
        &self,
        caller: &Caller,
        by: &Authorized,
        code: &Code,
    ) -> Result<Vec<RecoveryCode>, Error> {
        if self.store.check_access(by.claims.tag, by.claims.sid).await?.is_none() {
            return Err(self.refused(by));
        }
        let (stored, guess) = self.admit(caller, None, by.claims.tag).await?;
        let enabled = match &stored {
            Some(stored) => self.enable(caller, by, stored, code).await,
            // Deleted in between.
            None => Err(self.refused(by)),
        };
        self.close(caller, by, guess, enabled).await
    }

    async fn enable(
        &self,
        caller: &Caller,
        by: &Authorized,
        stored: &StoredUser,
        code: &Code,
    ) -> Result<Vec<RecoveryCode>, Error> {
        let (tag, user) = (by.claims.tag, &stored.user);
        if user.totp.is_some() {
            return Err(Error::TotpAlreadyEnabled);
        }
        let pending = self.store.find_pending(tag, PendingKind::Totp).await?;
        let value = pending.ok_or(Error::TotpNotStarted)?;
        let sealed = str::from_utf8(&value).unwrap_or_default();
        let opened = self.parts.factor_keys.open(user.id, sealed).ok_or(Error::TotpNotStarted)?;
        let secret = TotpSecret::from_bytes(&opened.secret).ok_or(Error::TotpNotStarted)?;
        let now = self.now();
        let step = match code {
            Code::App(code) => secret.verify(code, now, 0),
            Code::Recovery(_) => None,
        };
        let Some(last_step) = step else { return Err(Error::WrongCode) };
        let codes = (0..RECOVERY_CODES).map(|_| RecoveryCode::generate()).collect::<Result<Vec<_>, _>>()?;
        let recovery_codes = codes.iter().map(|code| recovery_digest(user.id, code)).collect();
        let totp = Totp { secret: sealed.to_owned(), confirmed_at: now, last_step, recovery_codes };
        let changed = User { totp: Some(totp), ..user.clone() };
        let spent = Some(Spent { kind: PendingKind::Totp, value: &value });
        match self.store.update_user(tag, stored, &changed, spent).await? {
            Outcome::Done => {}
            // The account has changed since it was read: the client may try again.
            Outcome::NotThere | Outcome::Refused => return Err(Error::Overloaded),
        }
        self.notify(caller, tag, &changed, |to| Message::SecondFactorChanged { to, enabled: true }).await;
        self.record(Event::TotpEnabled, caller, by.subject()).await?;
        Ok(codes)
    }

    /// Removes the caller's second factor, with the password and a code of either kind. The sessions go on.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], [`Error::WrongCode`], [`Error::TotpNotEnabled`], [`Error::Throttled`],
    /// [`Error::Overloaded`], [`Error::TokenInvalid`], [`Error::TokenExpired`], or an error of the store.
    pub async fn remove_totp(
        &self,
        caller: &Caller,
        by: &Authorized,
        password: &Password,
        code: &Code,
    ) -> Result<(), Error> {
        // The password and the code are one guess.
        let Verified { stored, guess, .. } = self.verify_own_password(caller, by, password).await?;
        let disabled = self.disable(caller, by, &stored, code).await;
        self.close(caller, by, guess, disabled).await
    }

    async fn disable(&self, caller: &Caller, by: &Authorized, stored: &StoredUser, code: &Code) -> Result<(), Error> {
        if stored.user.totp.is_none() {
            return Err(Error::TotpNotEnabled);
        }
        let Some(accepted) = self.accept_code(&stored.user, code)? else {
            return Err(Error::WrongCode);
        };
        let changed = User { totp: None, ..accepted.user };
        match self.store.update_user(by.claims.tag, stored, &changed, None).await? {
            Outcome::Done => {}
            Outcome::NotThere | Outcome::Refused => return Err(Error::Overloaded),
        }
        let tag = by.claims.tag;
        self.notify(caller, tag, &changed, |to| Message::SecondFactorChanged { to, enabled: false }).await;
        self.record(Event::TotpDisabled, caller, by.subject()).await
    }

    /// Takes back the guess, unless the code was wrong. Records a wrong code, whose guess stays counted even if the
    /// outbox does not take the event.
    async fn close<T>(
        &self,
        caller: &Caller,
        by: &Authorized,
        guess: Guess,
        result: Result<T, Error>,
    ) -> Result<T, Error> {
        if matches!(result, Err(Error::WrongCode)) {
            self.record(Event::SecondFactorFailed, caller, by.subject()).await?;
        } else {
            self.withdraw(guess).await;
        }
        result
    }
}

/// The name of the service in an authenticator app: the host of a URL, and any other issuer as it is. The format of
/// `otpauth` URLs allows no colon.
fn issuer_name(issuer: &str) -> String {
    let host = issuer.strip_prefix("https://").or_else(|| issuer.strip_prefix("http://"));
    let host = host.map(|rest| rest.split(['/', ':']).next().unwrap_or_default()).filter(|host| !host.is_empty());
    host.unwrap_or(issuer).replace(':', " ")
}

#[cfg(test)]
mod tests {
    use super::issuer_name;

    #[test]
    fn the_name_in_the_app_is_the_host_of_the_issuer() {
        for (issuer, name) in [
            ("auth-service", "auth-service"),
            ("https://auth.example.com", "auth.example.com"),
            ("http://localhost:3000/login", "localhost"),
            ("urn:example", "urn example"),
        ] {
            assert_eq!(issuer_name(issuer), name);
        }
    }
}
