//! The signing secrets, from the settings or from the data directory, and what they sign and verify.

use std::io;

use auth_service_records::{clock::Clock, secret::Secrets};
use auth_service_store::{backend::Backend, settings::StoreSettings};
use auth_service_token::Tokens;

use crate::{
    audit,
    config::Config,
    keys::{self, Starting},
};

/// All kinds of token, with the keys of ES256.
///
/// # Errors
/// A sentence that says why the server must not start.
pub(super) async fn tokens(
    config: &Config,
    secrets: &Secrets,
    backend: &Backend,
    clock: Clock,
) -> Result<Tokens, String> {
    let starting = Starting {
        settings: &config.signing_keys,
        algorithm: config.access_algorithm,
        access_seconds: config.access_seconds,
        secrets,
        backend,
        clock,
    };
    let keys = keys::start(starting).await;
    let tokens = secrets.tokens().with_parties(config.parties.clone());
    keys.map(|keys| tokens.with_keys(config.access_algorithm, keys))
}

/// The secrets from the settings, or else from the data directory. The open store holds the lock of the directory.
///
/// # Errors
/// When a file of the data directory cannot be read or written, is open to other users, or holds a secret that is easy
/// to guess.
pub(super) fn of(config: &Config) -> io::Result<Secrets> {
    match (&config.secrets, &config.store) {
        (Some(secrets), _) => Ok(secrets.clone()),
        (None, StoreSettings::Redis(_)) => Err(io::Error::other("AUTH_SECRET_KEY and REFRESH_SECRET_KEY are required")),
        (None, StoreSettings::Embedded { directory }) => {
            let (secrets, generated) = Secrets::load_or_generate(directory)?;
            if generated {
                let directory = directory.display();
                let message = format!("signing secrets were generated in {directory}: back them up with the store");
                audit::settings_warning("AUTH_SECRET_KEY", &message);
            }
            Ok(secrets)
        }
    }
}
