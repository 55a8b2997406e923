//! `auth-service secrets reseal`: seals the second factors of all accounts for the current AUTH_SECRET_KEY.

use auth_service_records::{
    sealing::FactorKeys,
    session::Outcome,
    user::{Email, Totp, User},
};
use auth_service_store::{Store, StoredUser};
use serde::Serialize;

use super::{
    output::{Failed, Report},
    progress::Progress,
    store::{connect, of_directory, on_reachable},
};
use crate::config::{Config, Sources};

/// The maximum number of tries for an account, because its owner may sign in at the same time.
const TRIES: usize = 10;

pub(super) const HELP: &str = "\
Examples:
  auth-service secrets reseal

Run the command between the second and the third step of a rotation, with the settings of the servers: AUTH_SECRET_KEY
opens and seals, and AUTH_SECRET_KEY_PREVIOUS opens. Afterwards, no second factor needs the previous secret. The servers
keep running. The command exits with 1 if a second factor cannot be opened with either secret, or if the store is
unavailable.";

#[derive(Serialize)]
pub(super) struct Resealed {
    result: &'static str,
    second_factors: u64,
    resealed: u64,
    #[serde(skip)]
    unopenable: u64,
}

impl Report for Resealed {
    fn text(&self) -> String {
        format!(
            "Second factors that need only AUTH_SECRET_KEY: {}; sealed again: {}",
            self.second_factors, self.resealed
        )
    }
}

pub(super) fn reseal(sources: &Sources) -> Result<Resealed, Failed> {
    let wrong = |problems: Vec<String>| Failed::wrong_settings(&problems);
    let secrets = Config::load_secrets(sources).map_err(wrong)?;
    let settings = Config::load_store(sources).map_err(wrong)?;
    on_reachable(sources, async |backend| {
        let missing =
            || Failed::wrong_usage("set AUTH_SECRET_KEY and REFRESH_SECRET_KEY to the secrets of the servers");
        let keys = of_directory(secrets, &settings)?.ok_or_else(missing)?.factor_keys();
        let (store, mut users) = (connect(&backend).await?, backend.users().await?);
        let mut done = Resealed { result: "resealed", second_factors: 0, resealed: 0, unopenable: 0 };
        let (mut progress, mut accounts) = (Progress::new(None), 0);
        loop {
            let page = users.next_page().await?;
            if page.is_empty() {
                return done.finish();
            }
            accounts += page.len() as u64;
            for stored in page.into_iter().filter(|stored| stored.user.totp.is_some()) {
                done.seal_again(&store, &keys, stored).await?;
            }
            progress.show(accounts, 0);
        }
    })
}

impl Resealed {
    /// Seals the second factor of one account, if an older key has sealed it.
    async fn seal_again(&mut self, store: &Store, keys: &FactorKeys, listed: StoredUser) -> Result<(), Failed> {
        let Some(tag) = Email::parse(&listed.user.email).map(|email| email.tag()) else { return Ok(()) };
        let mut found = Some(listed);
        for _ in 0..TRIES {
            // Either may have been removed in the meantime.
            let Some(stored) = found else { return Ok(()) };
            let Some(totp) = stored.user.totp.clone() else { return Ok(()) };
            let Some(opened) = keys.open(stored.user.id, &totp.secret) else {
                self.unopenable += 1;
                return Ok(());
            };
            if opened.is_current {
                self.second_factors += 1;
                return Ok(());
            }
            let secret = keys.seal(stored.user.id, &opened.secret)?;
            let user = User { totp: Some(Totp { secret, ..totp }), ..stored.user.clone() };
            if store.update_user(tag, &stored, &user, None).await? == Outcome::Done {
                self.second_factors += 1;
                self.resealed += 1;
                return Ok(());
            }
            found = store.find_user(tag).await?;
        }
        Err(Failed::new("user_changed", "an account changed during every attempt to change it; run the command again"))
    }

    fn finish(self) -> Result<Self, Failed> {
        match self.unopenable {
            0 => Ok(self),
            count => {
                let sentence = format!(
                    "{count} second factors cannot be opened with AUTH_SECRET_KEY or AUTH_SECRET_KEY_PREVIOUS; the \
                     others need only AUTH_SECRET_KEY"
                );
                Err(Failed::new("second_factors_sealed", sentence))
            }
        }
    }
}
