//! The check of a code.

use auth_service_records::{
    error::Error,
    user::{Totp, User},
};
use auth_service_token::{Amr, Id};
use auth_service_totp::{Code, RecoveryCode, TotpSecret};
use uuid::Uuid;

use crate::auth::service::Auth;

/// A right code.
pub(super) struct Accepted {
    /// The account, which no longer accepts this code. The caller must store the account before the code counts, and only
    /// if nobody has changed the account in between. So a code counts once, whichever replicas get the code.
    pub(super) user: User,
    /// The methods of a sign-in with this code.
    pub(super) amr: Amr,
}

impl Auth {
    /// Checks a code of the account's second factor. `None` for a wrong code, for one that was used before, and if the
    /// account has no second factor.
    ///
    /// # Errors
    /// [`Error::Internal`] if no secret of the settings opens the second factor.
    pub(super) fn accept_code(&self, user: &User, code: &Code) -> Result<Option<Accepted>, Error> {
        let Some(mut totp) = user.totp.clone() else { return Ok(None) };
        let (is_right, amr) = match code {
            Code::App(code) => (self.accept_step(user.id, &mut totp, code)?, Amr::PASSWORD_AND_CODE),
            Code::Recovery(code) => (spend(user.id, &mut totp, code), Amr::PASSWORD_AND_RECOVERY_CODE),
        };
        Ok(is_right.then(|| Accepted { user: User { totp: Some(totp), ..user.clone() }, amr }))
    }

    /// Notes the step of a right code. Also seals the secret again if an older key has sealed it.
    fn accept_step(&self, user_id: Uuid, totp: &mut Totp, code: &str) -> Result<bool, Error> {
        let opened = self.parts.factor_keys.open(user_id, &totp.secret);
        let cannot_open = || {
            let sentence = "a second factor cannot be opened with AUTH_SECRET_KEY or AUTH_SECRET_KEY_PREVIOUS; see \
                            docs/secrets.md";
            Error::Internal(sentence.to_owned())
        };
        let opened = opened.ok_or_else(cannot_open)?;
        let secret = TotpSecret::from_bytes(&opened.secret).ok_or_else(cannot_open)?;
        let Some(step) = secret.verify(code, self.now(), totp.last_step) else { return Ok(false) };
        totp.last_step = step;
        if !opened.is_current {
            totp.secret = self.parts.factor_keys.seal(user_id, secret.as_bytes())?;
        }
        Ok(true)
    }
}

/// Removes the digest of a recovery code. Returns whether it was there.
fn spend(user_id: Uuid, totp: &mut Totp, code: &RecoveryCode) -> bool {
    let (digest, count) = (recovery_digest(user_id, code), totp.recovery_codes.len());
    totp.recovery_codes.retain(|other| *other != digest);
    totp.recovery_codes.len() < count
}

/// The digest of a recovery code in the account. The user's id is the salt, so that nobody can search for the codes of
/// all users at once.
pub(super) fn recovery_digest(user_id: Uuid, code: &RecoveryCode) -> Id {
    Id::digest(&[user_id.as_bytes(), code.as_bytes()].concat())
}
