//! The settings of new passwords.

use std::path::Path;

use auth_service_password::{BreachedPasswords, HashCost, Rules};

use super::reader::Reader;

/// The rules for new passwords, and the cost of their hashes.
#[derive(Debug, Clone)]
pub struct PasswordSettings {
    /// Shortest new password, in code points.
    pub min_length: usize,
    /// The other rules.
    pub rules: Rules,
    /// The parameters of argon2id.
    pub cost: HashCost,
}

pub(super) fn passwords(reader: &mut Reader<'_>) -> PasswordSettings {
    PasswordSettings {
        min_length: reader.number("PASSWORD_MIN_LENGTH", 6, 1..=256),
        rules: Rules { min_score: reader.number("PASSWORD_MIN_SCORE", 0, 0..=4), breached: breached_passwords(reader) },
        cost: HashCost {
            // The minimum is that of the OWASP Password Storage Cheat Sheet.
            memory_kib: reader.number("ARGON2_MEMORY_KIB", 19_456, 7_168..=1_048_576),
            iterations: reader.number("ARGON2_ITERATIONS", 2, 1..=32),
            parallelism: reader.number("ARGON2_PARALLELISM", 1, 1..=16),
        },
    }
}

fn breached_passwords(reader: &mut Reader<'_>) -> Option<BreachedPasswords> {
    const LIST: &str = "BREACHED_PASSWORDS";
    let path = reader.text(LIST)?;
    BreachedPasswords::open(Path::new(&path)).map_err(|rest| reader.problem(LIST, &rest)).ok()
}
