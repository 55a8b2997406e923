//! The store and the secrets of the commands on keys.

use auth_service_store::Store;
use auth_service_token::SealingKey;

use crate::{
    cli::{
        output::Failed,
        store::{connect, of_directory, on_reachable},
    },
    config::{Config, SigningKeys, Sources},
    keys::FIRST_LEAD_SECONDS,
};

/// What a command on keys works with.
pub(super) struct Access {
    pub(super) store: Store,
    /// Open and seal the private keys. Empty if the settings have no secrets.
    pub(super) secrets: Vec<SealingKey>,
    pub(super) settings: SigningKeys,
    /// How long a key is published before it signs if nobody can wait for the lead, in seconds.
    pub(super) shortest_lead: u64,
}

/// Runs `work` on the keys in the store that the settings name.
pub(super) fn on_keys<T>(sources: &Sources, work: impl AsyncFnOnce(Access) -> Result<T, Failed>) -> Result<T, Failed> {
    let wrong = |problems: Vec<String>| Failed::wrong_settings(&problems);
    let settings = SigningKeys::load(sources).map_err(wrong)?;
    if let Some(file) = &settings.file {
        let file = file.display();
        return Err(Failed::wrong_usage(format!(
            "the keys are in SIGNING_KEY_FILE, {file}: change this file, which the servers read again by themselves"
        )));
    }
    let secrets = Config::load_secrets(sources).map_err(wrong)?;
    let store = Config::load_store(sources).map_err(wrong)?;
    on_reachable(sources, async |backend| {
        let secrets = of_directory(secrets, &store)?;
        let shortest_lead = if backend.is_shared() { FIRST_LEAD_SECONDS } else { 0 };
        let secrets = secrets.map(|secrets| secrets.sealing_keys()).unwrap_or_default();
        work(Access { store: connect(&backend).await?, secrets, settings, shortest_lead }).await
    })
}
