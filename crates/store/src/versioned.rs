//! JSON values with a version.

use auth_service_records::error::{Error, Outage};
use serde::{Deserialize, de::DeserializeOwned};

/// The version of most values that this program writes.
pub(crate) const VERSION: u64 = 1;

/// A value with a version.
pub(crate) trait Versioned: DeserializeOwned {
    /// The name of the kind of value in messages, with its article.
    const NAME: &'static str;
    /// The latest version that this program reads. The program also reads every earlier version.
    const LATEST: u64 = VERSION;

    /// The version that wrote the value.
    fn version(&self) -> u64;
}

/// The version alone. A value of any later version has this field too.
#[derive(Deserialize)]
struct Version {
    v: u64,
}

/// Reads a value.
///
/// # Errors
/// [`Outage::NewerVersion`] for a value of a later version, [`Error::Internal`] for any other text that is not such a
/// value.
pub(crate) fn decode<V: Versioned>(json: &[u8]) -> Result<V, Error> {
    decode_quietly(json).map_err(|error| match error {
        Error::Unavailable(Outage::NewerVersion) => newer_version(V::NAME),
        other => other,
    })
}

/// Reads a value as [`decode`], without a line in the log.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_quietly<V: Versioned>(json: &[u8]) -> Result<V, Error> {
    match serde_json::from_slice::<V>(json) {
        Ok(value) if value.version() <= V::LATEST => Ok(value),
        // A later version may have changed the types of fields, so that only the version can be read.
        _ => match serde_json::from_slice::<Version>(json) {
            Ok(Version { v }) if v > V::LATEST => Err(Error::Unavailable(Outage::NewerVersion)),
            _ => Err(Error::Internal(format!("{} cannot be read", V::NAME))),
        },
    }
}

/// Logs that a value has a later version, and returns the error for the request.
pub(crate) fn newer_version(what: &str) -> Error {
    tracing::error!("{what} in the store was written by a later version of auth-service; upgrade this replica");
    Error::Unavailable(Outage::NewerVersion)
}
