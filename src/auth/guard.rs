//! The limits on guesses at a password or a code, and on calls from one address.
//!
//! Each guess is counted as failed before it is compared, so that any number of guesses at the same moment stay within
//! the limits. A success takes back the count of its guess.

use std::time::Duration;

use auth_service_password::Password;
use auth_service_records::{
    error::Error,
    throttle::{Admission, Counter, FORGET_SECONDS, Limit, address_name, known_address_name},
    user::Email,
};
use auth_service_store::StoredUser;
use auth_service_token::Id;
use tokio::time::sleep;

use super::service::Auth;
use crate::{
    audit::{Caller, Event, Subject},
    log::Seldom,
};

/// The pause before the refusal of a caller whose hash the queue would not accept. Without the pause, 64 clients that
/// repeat their refused sign-ins immediately get 40,000 refusals a second, and token checks keep a third of their
/// throughput.
const REFUSAL_PAUSE: Duration = Duration::from_millis(10);

/// Calls that could not be counted, in all runtimes. An unavailable store must not cost a line for each call.
static UNCOUNTED: Seldom = Seldom::new();

/// A correct password.
pub(super) struct Verified {
    /// The account as it was read.
    pub(super) stored: StoredUser,
    /// A hash with the current parameters, if the hash of the account has weaker ones.
    pub(super) upgrade: Option<String>,
    /// The caller closes the guess with [`Auth::succeeded`] or [`Auth::withdraw`].
    pub(super) guess: Guess,
}

/// A guess that was counted as failed.
#[derive(Clone, Copy)]
pub(super) struct Guess {
    tag: Id,
    /// The caller's address, if the account knows it. Such an address has a count of its own.
    pub(super) known: Option<Id>,
    /// The address whose calls were counted, if there is a limit on them.
    address: Option<Id>,
}

impl Auth {
    /// Compares a password with that of the account `tag`. An unknown account is treated the same.
    ///
    /// # Errors
    /// [`Error::Overloaded`], usually before any call of the store; [`Error::Throttled`] before the comparison;
    /// [`Error::InvalidCredentials`], after the same work for an unknown account and for a wrong password (OWASP ASVS
    /// 5.0, clause 6.3.8); or an error of the store.
    pub(super) async fn verify_password(
        &self,
        caller: &Caller,
        email: Option<&Email>,
        tag: Id,
        password: &Password,
    ) -> Result<Verified, Error> {
        let client = address_name(caller.address);
        self.check_admission(client).await?;
        let (stored, guess) = self.admit(caller, email, tag).await?;
        let hash = stored.as_ref().map(|stored| stored.user.password_hash.as_str());
        let verdict = self.parts.passwords.verify(password.clone(), hash, client).await;
        match (verdict, stored) {
            (Err(error), _) => {
                self.withdraw(guess).await;
                Err(error)
            }
            (Ok(verdict), Some(stored)) if verdict.matches => Ok(Verified { stored, upgrade: verdict.upgrade, guess }),
            (Ok(_), stored) => {
                self.parts.audit.record(Event::SignInFailed, caller, subject_of(stored.as_ref(), email));
                Err(Error::InvalidCredentials)
            }
        }
    }

    /// Counts a guess at the password or at a code of the account `tag` as failed, and reads the account. The caller
    /// closes the guess with [`Auth::succeeded`] or [`Auth::withdraw`], unless the guess was wrong.
    ///
    /// # Errors
    /// [`Error::Throttled`], or an error of the store. Then the guess is not counted.
    pub(super) async fn admit(
        &self,
        caller: &Caller,
        email: Option<&Email>,
        tag: Id,
    ) -> Result<(Option<StoredUser>, Guess), Error> {
        let (counted, stored) = tokio::join!(self.count_failure(caller), self.store.find_user(tag));
        let stored = match stored {
            Ok(stored) => stored,
            Err(error) => {
                self.uncount(counted.ok().flatten()).await;
                return Err(error);
            }
        };
        let throttled = |seconds| {
            self.parts.audit.record(Event::Throttled, caller, subject_of(stored.as_ref(), email));
            Error::Throttled(seconds)
        };
        let address = counted.map_err(throttled)?;
        let known = stored.as_ref().and_then(|stored| self.known_address(caller, stored));
        match self.store.admit_guess(tag, known).await {
            Ok(Admission::Admitted) => Ok((stored, Guess { tag, known, address })),
            Ok(Admission::Wait(seconds)) => {
                self.uncount(address).await;
                Err(throttled(seconds))
            }
            Err(error) => {
                self.uncount(address).await;
                Err(error)
            }
        }
    }

    /// Refuses a caller whose hash the queue would not accept. Sign-in and sign-up ask before any call of the store.
    ///
    /// # Errors
    /// As [`Passwords::check_admission`](auth_service_password::Passwords::check_admission).
    pub(super) async fn check_admission(&self, client: Id) -> Result<(), Error> {
        let checked = self.parts.passwords.check_admission(client);
        if checked.is_err() {
            sleep(REFUSAL_PAUSE).await;
        }
        checked
    }

    /// Closes a guess after a success. The store has already reset the failures of the account.
    pub(super) async fn succeeded(&self, guess: Guess) {
        self.uncount(guess.address).await;
    }

    /// Takes back a guess that was not compared, or whose operation failed. If the withdrawal fails, the guess still
    /// counts as failed, which is safe.
    pub(super) async fn withdraw(&self, guess: Guess) {
        let (withdrawn, ()) =
            tokio::join!(self.store.withdraw_guess(guess.tag, guess.known), self.uncount(guess.address));
        if let Err(error) = withdrawn {
            tracing::debug!(?error, "a guess could not be withdrawn");
        }
    }

    /// Counts a call from the caller's address, and refuses a call beyond `limit`.
    ///
    /// # Errors
    /// [`Error::Throttled`].
    pub(super) async fn count_call(&self, caller: &Caller, counter: Counter, limit: Limit) -> Result<(), Error> {
        self.count(caller, counter, limit).await.map(|_| ()).map_err(|seconds| {
            self.parts.audit.record(Event::Throttled, caller, Subject::default());
            Error::Throttled(seconds)
        })
    }

    /// The limit on failed guesses from one address, and on token removals without a token from one address.
    pub(super) fn address_limit(&self) -> Limit {
        Limit { count: self.parts.address_limit, seconds: FORGET_SECONDS }
    }

    fn known_address(&self, caller: &Caller, stored: &StoredUser) -> Option<Id> {
        let name = known_address_name(stored.user.id, caller.address);
        stored.user.known_addresses.contains(name, self.now()).then_some(name)
    }

    /// Counts a guess from the caller's address. Returns the name of the address if there is a limit, or the seconds to
    /// wait.
    pub(super) async fn count_failure(&self, caller: &Caller) -> Result<Option<Id>, u64> {
        self.count(caller, Counter::Failures, self.address_limit()).await
    }

    /// Counts a call. Returns the name of the address if the call was counted, or the seconds to wait.
    ///
    /// In a cluster, the count of an address and the account may be in different slots. If only the primary of the
    /// count is down, the call continues uncounted, because the loss of one primary must not stop the users of another.
    /// On a single Redis the account cannot be read either, so the request fails anyway.
    async fn count(&self, caller: &Caller, counter: Counter, limit: Limit) -> Result<Option<Id>, u64> {
        if limit.count == 0 {
            return Ok(None);
        }
        let address = address_name(caller.address);
        match self.store.count_call(counter, address, limit).await {
            Ok(None) => Ok(Some(address)),
            Ok(Some(seconds)) => Err(seconds),
            Err(error) => {
                if let Some(calls) = UNCOUNTED.due() {
                    tracing::warn!(calls, ?error, "calls of an address cannot be counted, so they are not limited");
                }
                Ok(None)
            }
        }
    }

    /// Takes back the count of a guess from `address`, if the guess was counted.
    pub(super) async fn uncount(&self, address: Option<Id>) {
        let Some(address) = address else { return };
        if let Err(error) = self.store.uncount_call(Counter::Failures, address).await {
            tracing::debug!(?error, "a call of an address stays counted");
        }
    }
}

fn subject_of<'a>(stored: Option<&StoredUser>, email: Option<&'a Email>) -> Subject<'a> {
    Subject { user_id: stored.map(|stored| stored.user.id), email, ..Subject::default() }
}
