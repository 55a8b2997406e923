//! What the store keeps of a token: JSON with a version. The key names the account and the kind of the token, and has
//! the TTL.

use auth_service_mail::{CHANGE_LINK_SECONDS, RESET_LINK_SECONDS, VERIFY_LINK_SECONDS};
use auth_service_records::{
    error::{Error, Outage},
    mail_token::{MailToken, MailTokenKind},
    user::Email,
};
use auth_service_store::PendingKind;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const VERSION: u64 = 1;

#[derive(Serialize, Deserialize)]
struct Fields {
    v: u64,
    digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    change: Option<ChangeFields>,
}

#[derive(Serialize, Deserialize)]
struct ChangeFields {
    user_id: Uuid,
    email: String,
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

/// An entry that belongs to a token.
pub(super) struct Entry {
    /// The bytes in the store.
    pub(super) value: Vec<u8>,
    /// Only for a change of address.
    pub(super) change: Option<NewEmail>,
}

/// The change that a token confirms.
pub(super) struct NewEmail {
    /// The account. Another user may sign up with an address as soon as its account has another one.
    pub(super) user_id: Uuid,
    /// The new address.
    pub(super) email: Email,
}

impl Entry {
    /// The bytes for a new token.
    pub(super) fn encode(token: &MailToken, change: Option<&NewEmail>) -> Vec<u8> {
        let change = change
            .map(|NewEmail { user_id, email }| ChangeFields { user_id: *user_id, email: email.as_str().to_owned() });
        // A struct of text and numbers always serializes.
        serde_json::to_vec(&Fields { v: VERSION, digest: token.digest(), change }).unwrap_or_default()
    }

    /// The entry, if it belongs to this token.
    ///
    /// # Errors
    /// [`Error::InvalidMailToken`] for the entry of another token, [`Error::Unavailable`] for an entry of a later
    /// version, and [`Error::Internal`] for anything else.
    pub(super) fn open(value: Vec<u8>, token: &MailToken) -> Result<Self, Error> {
        let malformed = || Error::Internal("the store has a malformed entry of a token".to_owned());
        let Version { v } = serde_json::from_slice(&value).map_err(|_| malformed())?;
        if v > VERSION {
            return Err(Error::Unavailable(Outage::NewerVersion));
        }
        let Fields { digest, change, .. } = serde_json::from_slice(&value).map_err(|_| malformed())?;
        if !token.has_digest(&digest) {
            return Err(Error::InvalidMailToken);
        }
        let change = change.map(|ChangeFields { user_id, email }| {
            Email::parse(&email).map(|email| NewEmail { user_id, email }).ok_or_else(malformed)
        });
        Ok(Self { value, change: change.transpose()? })
    }
}

/// The entry that a token of this kind spends.
pub(super) fn pending_kind(kind: MailTokenKind) -> PendingKind {
    match kind {
        MailTokenKind::PasswordReset => PendingKind::PasswordReset,
        MailTokenKind::EmailVerification => PendingKind::EmailVerification,
        MailTokenKind::EmailChange => PendingKind::EmailChange,
    }
}

/// The life of a token, in seconds, as the mail says it.
pub(super) fn life_seconds(kind: MailTokenKind) -> u64 {
    match kind {
        MailTokenKind::PasswordReset => RESET_LINK_SECONDS,
        MailTokenKind::EmailVerification => VERIFY_LINK_SECONDS,
        MailTokenKind::EmailChange => CHANGE_LINK_SECONDS,
    }
}

#[cfg(test)]
mod tests {
    use auth_service_token::Id;

    use super::*;

    #[test]
    fn only_its_own_token_opens_an_entry() {
        let token = || MailToken::random(MailTokenKind::EmailChange, Id::digest(b"a@b.c")).unwrap();
        let (own, other, email) = (token(), token(), Email::parse("New@Example.com").unwrap());
        let value = Entry::encode(&own, Some(&NewEmail { user_id: Uuid::from_u128(7), email }));
        let change = Entry::open(value.clone(), &own).unwrap().change.unwrap();
        assert_eq!((change.user_id.as_u128(), change.email.as_str()), (7, "New@Example.com"));
        assert!(matches!(Entry::open(value.clone(), &other), Err(Error::InvalidMailToken)));
        let (_, secret) = own.expose().split_at("change_".len() + 22);
        assert!(!String::from_utf8(value).unwrap().contains(secret));
    }

    #[test]
    fn an_entry_of_a_later_version_is_an_outage() {
        let token = MailToken::random(MailTokenKind::PasswordReset, Id::digest(b"a@b.c")).unwrap();
        let newer = Entry::open(br#"{"v":2,"digest":7}"#.to_vec(), &token);
        assert!(matches!(newer, Err(Error::Unavailable(Outage::NewerVersion))));
        assert!(matches!(Entry::open(b"nonsense".to_vec(), &token), Err(Error::Internal(_))));
    }
}
