//! The signing secrets: from the settings, or from the data directory.

use std::io;

use auth_service_records::secret::Secrets;
use auth_service_store::settings::StoreSettings;

use crate::{audit, config::Config};

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
