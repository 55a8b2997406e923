//! The epoch entry and the access entry, as a token check reads them.

use auth_service_records::{error::Error, session::Access};
use auth_service_token::Id;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::record::{VERSION, check_version};

/// The user's epoch, and the profile that a token check returns.
#[derive(Serialize, Deserialize)]
pub(super) struct EpochEntry {
    v: u64,
    epoch: Id,
    email: String,
    created_at: u64,
}

#[derive(Deserialize)]
struct AccessEntry {
    v: u64,
    epoch: Id,
}

trait Entry: DeserializeOwned {
    fn version(&self) -> u64;
}

impl Entry for EpochEntry {
    fn version(&self) -> u64 {
        self.v
    }
}

impl Entry for AccessEntry {
    fn version(&self) -> u64 {
        self.v
    }
}

impl EpochEntry {
    /// The entry as the store holds it.
    pub(super) fn encode(epoch: Id, email: &str, created_at: u64) -> Vec<u8> {
        let entry = Self { v: VERSION, epoch, email: email.to_owned(), created_at };
        // A struct of text and numbers always serializes.
        serde_json::to_vec(&entry).unwrap_or_default()
    }
}

/// The answer to a token check. `None` if an entry is missing, or if the entries name different epochs.
pub(super) fn access(epoch: Option<Vec<u8>>, access: Option<Vec<u8>>) -> Result<Option<Access>, Error> {
    let (Some(epoch), Some(access)) = (epoch, access) else { return Ok(None) };
    let (epoch, access): (EpochEntry, AccessEntry) = (decode(&epoch)?, decode(&access)?);
    let EpochEntry { email, created_at, .. } = epoch;
    Ok((epoch.epoch == access.epoch).then_some(Access { email, created_at }))
}

fn decode<T: Entry>(value: &[u8]) -> Result<T, Error> {
    match serde_json::from_slice::<T>(value) {
        Ok(entry) if entry.version() <= VERSION => Ok(entry),
        _ => {
            check_version(value, "session entry")?;
            Err(Error::Internal("a session entry cannot be read".to_owned()))
        }
    }
}
