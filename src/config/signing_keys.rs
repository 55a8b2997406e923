//! The settings of the ES256 keys.

use std::path::PathBuf;

use super::{reader::Reader, sources::Sources};
use crate::keys::pem;

const DAY: u64 = 24 * 3_600;

/// Where the ES256 keys come from, and when the servers replace those that they make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKeys {
    /// The file with the operator's own keys. `None`: the servers make the keys.
    pub file: Option<PathBuf>,
    /// How long a key signs, in days. 0: until somebody asks for the next key.
    pub rotation_days: u64,
    /// How long a key is published before it signs, in seconds.
    pub lead_seconds: u64,
}

impl SigningKeys {
    /// Reads and checks only these settings.
    ///
    /// # Errors
    /// One sentence for each wrong setting.
    pub fn load(sources: &Sources) -> Result<Self, Vec<String>> {
        Reader::read(sources, signing_keys).map(|(settings, _)| settings)
    }

    /// How long a key signs, in seconds. `None`: until somebody asks for the next key.
    #[must_use]
    pub fn rotation_seconds(&self) -> Option<u64> {
        Some(self.rotation_days * DAY).filter(|seconds| *seconds > 0)
    }
}

pub(super) fn signing_keys(reader: &mut Reader<'_>) -> SigningKeys {
    const FILE: &str = "SIGNING_KEY_FILE";
    reader.warn_if_empty(FILE, "the servers make the keys of ES256");
    reader.warn_if_open(FILE);
    let problems = reader.problems();
    if let Some(text) = reader.file(FILE)
        && reader.problems() == problems
        && let Err(rest) = pem::signing_keys(&text)
    {
        reader.problem(FILE, &rest);
    }
    SigningKeys {
        file: reader.text(FILE).map(Into::into),
        rotation_days: reader.number("SIGNING_KEY_ROTATION_DAYS", 30, 0..=3_650),
        // Every server has read the key set after two seconds.
        lead_seconds: reader.number("SIGNING_KEY_LEAD_SECONDS", 3_600, 2..=DAY),
    }
}
