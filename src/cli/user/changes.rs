//! Commands that create, change and delete an account.

use auth_service_records::{clock::rfc3339, session::Outcome, throttle::KnownAddresses, user::User};
use clap::ArgMatches;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    cli::{
        arguments::given_email,
        output::{Failed, Report},
        password::new_password_hash,
        store::on_account,
    },
    config::Sources,
};

/// The flag of `create` for an account whose email needs no verification.
pub(super) const VERIFIED: &str = "verified";

/// The maximum number of tries of a change. The account may change between the read and the write, because each sign-in
/// from a new address changes it.
pub(super) const TRIES: u32 = 10;

#[derive(Serialize)]
pub(super) struct Created {
    result: &'static str,
    email: String,
    id: Uuid,
    created_at: String,
    email_verified: bool,
}

impl Report for Created {
    fn text(&self) -> String {
        format!("The account {} is created, with the id {}", self.email, self.id)
    }
}

pub(super) fn create(matches: &ArgMatches, sources: &Sources) -> Result<Created, Failed> {
    let password_hash = new_password_hash(sources, &given_email(matches)?)?;
    let is_verified = matches.get_flag(VERIFIED);
    on_account(matches, sources, async |store, email| {
        let now = store.now_seconds();
        let user = User {
            id: Uuid::new_v4(),
            email: email.as_str().to_owned(),
            created_at: now,
            password_hash,
            known_addresses: KnownAddresses::default(),
            password_change: None,
            email_verified_at: is_verified.then_some(now),
            totp: None,
        };
        if !store.create_user(email.tag(), &user).await? {
            let sentence = format!("there is already an account {}", email.as_str());
            return Err(Failed::new("email_taken", sentence));
        }
        let User { id, email, created_at, .. } = user;
        let created_at = rfc3339(created_at);
        Ok(Created { result: "user_created", email, id, created_at, email_verified: is_verified })
    })
}

#[derive(Serialize)]
pub(super) struct PasswordSet {
    result: &'static str,
    email: String,
}

impl Report for PasswordSet {
    fn text(&self) -> String {
        format!("The password of {} is changed, and all its tokens are removed", self.email)
    }
}

pub(super) fn set_password(matches: &ArgMatches, sources: &Sources) -> Result<PasswordSet, Failed> {
    let password_hash = new_password_hash(sources, &given_email(matches)?)?;
    on_account(matches, sources, async |store, email| {
        for _ in 0..TRIES {
            let found = store.find_user(email.tag()).await?;
            let stored = found.ok_or_else(|| Failed::user_not_found(email.as_str()))?;
            // The session of the latest change ends, too.
            let user = User { password_hash: password_hash.clone(), password_change: None, ..stored.user.clone() };
            if store.replace_user(email.tag(), &stored, &user, None).await? == Outcome::Done {
                return Ok(PasswordSet { result: "password_changed", email: email.as_str().to_owned() });
            }
        }
        Err(Failed::user_changed(email.as_str()))
    })
}

#[derive(Serialize)]
pub(super) struct Verified {
    result: &'static str,
    email: String,
}

impl Report for Verified {
    fn text(&self) -> String {
        format!("The email {} is verified", self.email)
    }
}

pub(super) fn verify(matches: &ArgMatches, sources: &Sources) -> Result<Verified, Failed> {
    on_account(matches, sources, async |store, email| {
        for _ in 0..TRIES {
            let found = store.find_user(email.tag()).await?;
            let stored = found.ok_or_else(|| Failed::user_not_found(email.as_str()))?;
            let email_verified_at = stored.user.email_verified_at.or_else(|| Some(store.now_seconds()));
            let user = User { email_verified_at, ..stored.user.clone() };
            if store.update_user(email.tag(), &stored, &user, None).await? == Outcome::Done {
                return Ok(Verified { result: "email_verified", email: email.as_str().to_owned() });
            }
        }
        Err(Failed::user_changed(email.as_str()))
    })
}

#[derive(Serialize)]
pub(super) struct Deleted {
    result: &'static str,
    email: String,
}

impl Report for Deleted {
    fn text(&self) -> String {
        format!("The account {} and all its tokens are deleted", self.email)
    }
}

pub(super) fn delete(matches: &ArgMatches, sources: &Sources) -> Result<Deleted, Failed> {
    on_account(matches, sources, async |store, email| {
        for _ in 0..TRIES {
            let Some(stored) = store.find_user(email.tag()).await? else {
                // A user repeats the command if too few replicas have confirmed the deletion. "Not found" then means
                // that enough replicas have confirmed it.
                store.acknowledge_user(email.tag()).await?;
                return Err(Failed::user_not_found(email.as_str()));
            };
            if store.delete_user(email.tag(), &stored, None).await? == Outcome::Done {
                return Ok(Deleted { result: "user_deleted", email: email.as_str().to_owned() });
            }
        }
        Err(Failed::user_changed(email.as_str()))
    })
}
