//! Stored hashes: our own with argon2, and those that an import has brought from other services.

use crate::{argon::Argon2Hash, cost::HashCost, foreign::ForeignHash, unusable::Unusable};

/// A hash as the store keeps it.
pub(crate) enum StoredHash {
    Argon2(Argon2Hash),
    Foreign(ForeignHash),
}

impl StoredHash {
    /// Reads a hash.
    ///
    /// # Errors
    /// If the text has no known form, or if the hash costs more memory or time than its bounds.
    pub(crate) fn parse(text: &str) -> Result<Self, Unusable> {
        if let Some(hash) = ForeignHash::parse(text)? {
            return Ok(Self::Foreign(hash));
        }
        // Django writes the name of the function before the PHC string.
        let phc = if text.starts_with("argon2$argon2") { &text["argon2".len()..] } else { text };
        Argon2Hash::parse(phc).map(Self::Argon2)
    }

    /// Checks whether the hash may be imported. `current` is the cost of new hashes.
    ///
    /// # Errors
    /// Why not, as the rest of a sentence that starts with the name of the hash.
    pub(crate) fn check(text: &str, current: HashCost) -> Result<(), &'static str> {
        match Self::parse(text) {
            Ok(Self::Argon2(hash)) if !hash.cost().may_be_imported(current) => Err(Unusable::Cost.sentence()),
            Ok(_) => Ok(()),
            Err(unusable) => Err(unusable.sentence()),
        }
    }

    /// Whether a hash with argon2id of the cost `current` would be stronger. A hash of another function always counts as
    /// weaker, so that each function but one disappears from the store.
    pub(crate) fn is_weaker_than(&self, current: HashCost) -> bool {
        match self {
            Self::Argon2(hash) => hash.is_weaker_than(current),
            Self::Foreign(_) => true,
        }
    }

    /// The work of a verification, see [`HashCost::work`].
    pub(crate) fn work(&self) -> u32 {
        match self {
            Self::Argon2(hash) => hash.cost().work(),
            Self::Foreign(hash) => hash.work(),
        }
    }

    /// The memory of a verification, in KiB.
    pub(crate) fn memory_kib(&self) -> u32 {
        match self {
            Self::Argon2(hash) => hash.cost().memory_kib,
            Self::Foreign(hash) => hash.memory_kib(),
        }
    }
}
