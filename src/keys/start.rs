//! The keys at the start of the server.

use std::time::{Duration, Instant};

use auth_service_records::{clock::Clock, secret::Secrets};
use auth_service_store::{backend::Backend, key_set::KeyPolicy};
use auth_service_token::{Algorithm, Keys, LEEWAY_SECONDS};
use tokio::time::sleep;

use super::{
    file::KeyFile,
    stored::{FIRST_LEAD_SECONDS, Keeper, Known, cannot_open, unreadable},
};
use crate::{config::SigningKeys, log::Seldom};

/// How long the start waits until a key signs. The first key signs after [`FIRST_LEAD_SECONDS`].
const WAIT: Duration = Duration::from_secs(10);
const WAIT_INTERVAL: Duration = Duration::from_millis(50);

/// What the keys depend on.
pub(crate) struct Starting<'a> {
    pub(crate) settings: &'a SigningKeys,
    pub(crate) algorithm: Algorithm,
    /// Life of an access token, in seconds.
    pub(crate) access_seconds: u64,
    pub(crate) secrets: &'a Secrets,
    pub(crate) backend: &'a Backend,
    pub(crate) clock: Clock,
}

/// The keys of the process. Tasks of this runtime keep them up to date. With ES256, returns when a key signs, unless the
/// store cannot be reached, which is no error, because it may come back.
///
/// # Errors
/// A sentence that says why the server must not start.
pub(crate) async fn start(starting: Starting<'_>) -> Result<Keys, String> {
    let keys = Keys::default();
    if let Some(path) = &starting.settings.file {
        tokio::spawn(KeyFile::open(path, keys.clone())?.watch());
        return Ok(keys);
    }
    let signs = starting.algorithm == Algorithm::Es256;
    let mut keeper = Keeper {
        store: starting.backend.connect().await,
        keys: keys.clone(),
        secrets: starting.secrets.sealing_keys(),
        policy: signs.then(|| starting.policy()),
        clock: starting.clock,
        read: None,
        published: None,
        failures: Seldom::new(),
    };
    let until = Instant::now() + WAIT;
    while let Known::NoneSigns = read(&mut keeper, signs).await? {
        if !signs || keeper.read.is_none() || Instant::now() > until {
            break;
        }
        sleep(WAIT_INTERVAL).await;
    }
    tokio::spawn(keeper.run());
    Ok(keys)
}

impl Starting<'_> {
    fn policy(&self) -> KeyPolicy {
        KeyPolicy {
            rotation: self.settings.rotation_seconds(),
            lead: self.settings.lead_seconds,
            first_lead: if self.backend.is_shared() { FIRST_LEAD_SECONDS } else { 0 },
            token_life: self.access_seconds + LEEWAY_SECONDS,
        }
    }
}

/// Reads the keys. A server that signs with HS256 goes on without them.
async fn read(keeper: &mut Keeper, signs: bool) -> Result<Known, String> {
    let fault = match keeper.refresh().await {
        Ok(()) => match keeper.publish() {
            Known::Sealed(kid) if signs => cannot_open(kid),
            known => return Ok(known),
        },
        Err(error) => match unreadable(&error) {
            Some(fault) => fault,
            None => return Ok(keeper.publish()),
        },
    };
    if signs {
        return Err(fault);
    }
    tracing::error!("{fault}; this server verifies no ES256 tokens");
    Ok(Known::NoneSigns)
}
