//! The use case of a sign-in. `second_factor` has its second step, for accounts that need one.

use auth_service_password::Password;
use auth_service_records::{
    error::Error,
    session::{NewSession, Origin, eid},
    throttle::known_address_name,
    user::{Email, User},
};
use auth_service_store::StoredUser;
use auth_service_token::{Amr, Claims, Id};

use super::{
    guard::{Guess, Verified},
    service::Auth,
};
use crate::audit::{Caller, Event, Subject};

/// The maximum number of tries of a sign-in, if the account changes between the check and the opening of the session.
pub(super) const SIGN_IN_TRIES: usize = 3;

/// The tokens of a sign-in.
pub struct SignedIn {
    /// The token for protected requests.
    pub access_token: String,
    /// Life of the access token, in seconds.
    pub expires_in: u64,
    /// The token that gives new access tokens.
    pub refresh_token: String,
    /// Life of the refresh token, in seconds.
    pub refresh_expires_in: u64,
}

/// A caller who has proved all factors of an account.
pub(super) struct Proven {
    /// The user's tag.
    pub(super) tag: Id,
    /// The account as it was read.
    pub(super) stored: StoredUser,
    /// The account after the sign-in.
    pub(super) user: User,
    /// Whether `user` differs from `stored`.
    pub(super) is_changed: bool,
    /// The guess that was right.
    pub(super) guess: Guess,
    /// How the caller has signed in.
    pub(super) amr: Amr,
}

impl Auth {
    /// Opens a session for a caller who knows the password, unless the account needs a second factor.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for an unknown email and for a wrong password, after the same work for both;
    /// [`Error::Throttled`] before that work, also the same for both; [`Error::MfaRequired`] with the token for
    /// [`Auth::authenticate_totp`]; [`Error::EmailNotVerified`]; [`Error::Overloaded`], usually before any call of the
    /// store; [`Error::NoSigningKey`]; or an error of the store.
    pub async fn authenticate(
        &self,
        caller: &Caller,
        user_agent: &str,
        email: &Email,
        password: &Password,
    ) -> Result<SignedIn, Error> {
        self.check_signing()?;
        let (tag, session) = (email.tag(), new_session(caller, user_agent)?);
        for _ in 0..SIGN_IN_TRIES {
            let verified = self.verify_password(caller, Some(email), tag, password).await?;
            self.check_email_verified(caller, &verified, tag).await?;
            if verified.stored.user.totp.is_some() {
                match self.ask_for_code(caller, email, verified).await? {
                    Some(challenge) => return Err(Error::MfaRequired(challenge)),
                    None => continue,
                }
            }
            let Verified { stored, upgrade, guess } = verified;
            let (mut user, is_changed) = (stored.user.clone(), upgrade.is_some());
            if let Some(password_hash) = upgrade {
                user.password_hash = password_hash;
            }
            let proven = Proven { tag, stored, user, is_changed, guess, amr: Amr::PASSWORD };
            if let Some(signed_in) = self.sign_in(caller, Some(email), proven, &session).await? {
                return Ok(signed_in);
            }
        }
        Err(Error::Overloaded)
    }

    /// Opens the session, and issues its tokens. Also stores the account after the sign-in, and the address of the
    /// caller once a day. Returns `None` and changes nothing if the account is no longer as it was read.
    pub(super) async fn sign_in(
        &self,
        caller: &Caller,
        email: Option<&Email>,
        proven: Proven,
        session: &NewSession,
    ) -> Result<Option<SignedIn>, Error> {
        let Proven { tag, stored, mut user, mut is_changed, guess, amr } = proven;
        is_changed |= user.known_addresses.remember(known_address_name(user.id, caller.address), self.now());
        // Reads the clock before the store sets the expiry of the entries, so that no token outlives its entry.
        let now = self.now();
        let opened = self.store.open_session(tag, &stored, is_changed.then_some(&user), session, guess.known).await;
        let Ok(Some(epoch)) = opened else {
            self.withdraw(guess).await;
            return opened.map(|_| None);
        };
        self.succeeded(guess).await;
        let subject = Subject { email, ..Subject::session(user.id, session.sid) };
        self.record(Event::SignedIn, caller, subject).await?;
        let claims =
            Claims { sid: session.sid, eid: Some(eid(epoch)), amr, auth_time: Some(now), ..Claims::of(user.id, tag) };
        self.issue_both(&claims, session.refresh_id, now).map(Some)
    }

    /// The tokens of a new session, which have these `claims`.
    fn issue_both(&self, claims: &Claims, refresh_id: Id, now: u64) -> Result<SignedIn, Error> {
        let policy = self.parts.policy;
        let longest = policy.max_age_seconds.unwrap_or(u64::MAX);
        let (expires_in, refresh_expires_in) =
            (policy.access_seconds.min(longest), policy.refresh_seconds.min(longest));
        let access = Claims { jti: Id::random()?, iat: now, exp: now + expires_in, ..*claims };
        let refresh = Claims { eid: None, jti: refresh_id, exp: now + refresh_expires_in, ..access };
        Ok(SignedIn {
            access_token: self.parts.tokens.access.issue(&access)?,
            expires_in,
            refresh_token: self.parts.tokens.refresh.issue(&refresh),
            refresh_expires_in,
        })
    }
}

/// The session that a sign-in from this caller opens.
pub(super) fn new_session(caller: &Caller, user_agent: &str) -> Result<NewSession, Error> {
    let origin = Origin { ip: caller.address.to_string(), user_agent: user_agent.to_owned() };
    Ok(NewSession { sid: Id::random()?, epoch: Id::random()?, refresh_id: Id::random()?, origin })
}
