//! `auth-service user remove-totp`: removes the second factor of a user who has lost it.

use auth_service_records::{session::Outcome, user::User};
use clap::ArgMatches;
use serde::Serialize;

use super::changes::TRIES;
use crate::{
    cli::{
        output::{Failed, Report},
        store::on_account,
    },
    config::Sources,
};

#[derive(Serialize)]
pub(super) struct TotpRemoved {
    result: &'static str,
    email: String,
}

impl Report for TotpRemoved {
    fn text(&self) -> String {
        format!("The second factor of {} is removed", self.email)
    }
}

pub(super) fn remove_totp(matches: &ArgMatches, sources: &Sources) -> Result<TotpRemoved, Failed> {
    on_account(matches, sources, async |store, email| {
        for _ in 0..TRIES {
            let found = store.find_user(email.tag()).await?;
            let stored = found.ok_or_else(|| Failed::user_not_found(email.as_str()))?;
            if stored.user.totp.is_none() {
                // As for a deleted account: "not enabled" means that enough replicas have confirmed the removal.
                store.acknowledge_user(email.tag()).await?;
                let sentence = format!("the account {} has no second factor", email.as_str());
                return Err(Failed::new("totp_not_enabled", sentence));
            }
            let user = User { totp: None, ..stored.user.clone() };
            if store.update_user(email.tag(), &stored, &user, None).await? == Outcome::Done {
                return Ok(TotpRemoved { result: "totp_removed", email: email.as_str().to_owned() });
            }
        }
        Err(Failed::user_changed(email.as_str()))
    })
}
