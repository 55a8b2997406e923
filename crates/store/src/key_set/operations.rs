//! The operations on the key set.

use auth_service_records::error::Error;

use super::record::KeySetRecord;
use crate::store::Store;

/// The key set as the store had it at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredKeySet {
    /// The keys. Empty if there is no record.
    pub record: KeySetRecord,
    /// The record as text, to see whether it has changed. Empty if there is no record.
    revision: Vec<u8>,
}

impl StoredKeySet {
    /// # Errors
    /// [`Error::Unavailable`] for a record of a later version, [`Error::Internal`] for one that cannot be read.
    fn of(json: Option<Vec<u8>>) -> Result<Self, Error> {
        let record = json.as_deref().map(KeySetRecord::read).transpose()?.unwrap_or_default();
        Ok(Self { record, revision: json.unwrap_or_default() })
    }
}

impl Store {
    /// Reads the key set.
    ///
    /// # Errors
    /// See [`Store`]. Also for a record of a later version, or one that cannot be read.
    pub async fn key_set(&self) -> Result<StoredKeySet, Error> {
        let (json, metrics) = match self {
            Self::Redis(redis) => (redis.key_set().await?, redis.metrics()),
            Self::Embedded(embedded) => (embedded.key_set()?, embedded.metrics()),
        };
        StoredKeySet::of(json).inspect_err(|error| metrics.count_error(error))
    }

    /// Replaces the key set by `next`, unless it has changed since `read`, or the time of the store is after `latest`,
    /// in seconds since the Unix epoch. So a process that was stopped in between writes no times of its past. Returns
    /// whether the key set is now `next`.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn replace_key_set(&self, read: &StoredKeySet, next: &KeySetRecord, latest: u64) -> Result<bool, Error> {
        match self {
            Self::Redis(redis) => redis.replace_key_set(&read.revision, &next.write(), latest).await,
            Self::Embedded(embedded) => embedded.replace_key_set(read.revision.clone(), next.write(), latest).await,
        }
    }
}
