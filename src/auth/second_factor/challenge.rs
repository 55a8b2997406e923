//! The two steps of a sign-in with a second factor. The password gives an mfa token, and the mfa token together with a
//! code opens the session.

use auth_service_records::{
    error::{Error, MfaChallenge},
    refusal::Refusal,
    session::Outcome,
    user::{Email, User},
};
use auth_service_token::{Id, MfaClaims};
use auth_service_totp::Code;

use super::check::Accepted;
use crate::{
    audit::{Caller, Event, Subject},
    auth::{
        guard::Verified,
        service::Auth,
        sign_in::{Proven, SIGN_IN_TRIES, SignedIn, new_session},
    },
};

/// How long an mfa token is valid, in seconds.
const MFA_SECONDS: u64 = 300;

impl Auth {
    /// Asks for a code, after the right password of an account with a second factor. Opens no session, and resets no
    /// failures. Returns `None` if the account has changed in between.
    ///
    /// # Errors
    /// An error of the store.
    pub(in crate::auth) async fn ask_for_code(
        &self,
        caller: &Caller,
        email: &Email,
        verified: Verified,
    ) -> Result<Option<MfaChallenge>, Error> {
        let Verified { stored, upgrade, guess } = verified;
        // Not a failure. The failures of the account stay, because this sign-in may still fail.
        self.withdraw(guess).await;
        let (tag, mut user) = (email.tag(), stored.user.clone());
        if let Some(password_hash) = upgrade {
            user.password_hash = password_hash;
            if self.store.update_user(tag, &stored, &user, None).await? != Outcome::Done {
                return Ok(None);
            }
        }
        let Some(factors) = factors_of(&user) else { return Ok(None) };
        let now = self.now();
        let claims = MfaClaims { sub: user.id, tag, factors, jti: Id::random()?, iat: now, exp: now + MFA_SECONDS };
        let token = self.parts.tokens.mfa.issue(&claims);
        let subject = Subject { user_id: Some(user.id), email: Some(email), ..Subject::default() };
        self.record(Event::SecondFactorRequired, caller, subject).await?;
        Ok(Some(MfaChallenge { token, expires_in: MFA_SECONDS }))
    }

    /// Opens a session for a caller who knows the password and has the second factor. Codes are limited exactly as
    /// passwords are, and only a right code resets the failures of the account.
    ///
    /// # Errors
    /// [`Error::InvalidMfaToken`] also after a change of the password or of the second factor; [`Error::InvalidCode`];
    /// [`Error::Throttled`] before the comparison; [`Error::NoSigningKey`]; or an error of the store.
    pub async fn authenticate_totp(
        &self,
        caller: &Caller,
        user_agent: &str,
        mfa_token: &str,
        code: &Code,
    ) -> Result<SignedIn, Error> {
        self.check_signing()?;
        let verified = self.parts.tokens.mfa.verify(mfa_token, self.now());
        let claims = verified.map_err(|error| Error::InvalidMfaToken(Refusal::Unverified(error)))?;
        let session = new_session(caller, user_agent)?;
        for _ in 0..SIGN_IN_TRIES {
            let (stored, guess) = self.admit(caller, None, claims.tag).await?;
            let Some(stored) = stored.filter(|stored| factors_of(&stored.user) == Some(claims.factors)) else {
                self.withdraw(guess).await;
                return Err(Error::InvalidMfaToken(Refusal::Removed));
            };
            let email = Email::parse(&stored.user.email);
            let accepted = match self.accept_code(&stored.user, code) {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.withdraw(guess).await;
                    return Err(error);
                }
            };
            let Some(Accepted { user, amr }) = accepted else {
                let subject = Subject { user_id: Some(claims.sub), email: email.as_ref(), ..Subject::default() };
                // If the outbox does not take the event, the answer is the same as after a right code, and the guess
                // stays counted.
                self.record(Event::SecondFactorFailed, caller, subject).await?;
                return Err(Error::InvalidCode);
            };
            let proven = Proven { tag: claims.tag, stored, user, is_changed: true, guess, amr };
            if let Some(signed_in) = self.sign_in(caller, email.as_ref(), proven, &session).await? {
                return Ok(signed_in);
            }
        }
        Err(Error::Overloaded)
    }
}

/// Names the factors of an account: a digest that changes with the password, and with each new second factor. `None`
/// without a second factor.
///
/// The sealed secret has a random nonce, so no two second factors have the same digest. If a secret is sealed again after
/// a change of `AUTH_SECRET_KEY`, the mfa tokens of the account end, and its user sends the password once more.
fn factors_of(user: &User) -> Option<Id> {
    let sealed = user.totp.as_ref()?.secret.as_bytes();
    Some(Id::digest(&[user.id.as_bytes(), sealed, user.password_hash.as_bytes()].concat()))
}
