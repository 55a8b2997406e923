//! The work of one hashing thread: argon2id on a memory block that the thread keeps between hashes, and the
//! verification of hashes of other services.

use std::sync::{Mutex, MutexGuard, PoisonError};

use allocator_api2::{alloc::System, vec::Vec};
use argon2::{Algorithm, Argon2, Block, Params, Version, password_hash::phc::Output};
use auth_service_records::error::Error;

use crate::{
    argon::{Argon2Hash, phc},
    cost::HashCost,
    password::Password,
    stored::StoredHash,
};

/// OWASP ASVS 5.0 clause 11.4.2 and NIST SP 800-63B-4 ask for at least 32 bits; RFC 9106 section 3.1 recommends 128.
const SALT_BYTES: usize = 16;

/// glibc keeps freed blocks of up to 32 MiB, and returns larger blocks to the operating system immediately (mallopt(3),
/// M_MMAP_THRESHOLD). The pages of a block that no hash touches take no memory.
const MAPPED_BYTES: usize = 33 << 20;

/// A hash is large if it takes more memory than this, in KiB, and more than a current hash. Only one thread at a time
/// computes a large hash. Otherwise, many accounts with large hashes that sign in at the same time would take
/// gigabytes. The limit is the memory of Werkzeug's default for scrypt. (The scrypt crate takes its memory from the
/// allocator of the server, which keeps it.)
const LARGE_KIB: u32 = 32 << 10;
static LARGE: Mutex<()> = Mutex::new(());

/// The result of the verification of a password.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the password is the right one.
    pub matches: bool,
    /// A new PHC string to store, when the password is right and its stored hash is weaker than the settings.
    pub upgrade: Option<String>,
}

/// Hashes with the current parameters, and verifies stored hashes with any parameters within bounds.
pub(crate) struct Hasher {
    params: Params,
    /// Empty until the first hash, and again after [`Hasher::release_memory`]. The memory comes from the system's
    /// allocator, because the allocator of the server would keep the block.
    memory: Vec<Block, System>,
    /// The work so far, see [`HashCost::work`].
    #[cfg(test)]
    work: u32,
}

impl Hasher {
    /// Allocates nothing yet.
    pub(crate) fn new(params: Params) -> Self {
        Self {
            params,
            memory: Vec::new_in(System),
            #[cfg(test)]
            work: 0,
        }
    }

    /// Hashes a new password with a fresh salt. Returns the PHC string.
    ///
    /// # Errors
    /// [`Error::Internal`] when the operating system provides no memory or no randomness.
    pub(crate) fn hash(&mut self, password: &Password) -> Result<String, Error> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        self.fill(&argon2_with(&self.params), password, &salt, &mut output)?;
        phc(&self.params, &salt, &output)
    }

    /// Verifies `password` against a stored hash. The comparison of the hashes takes constant time. A wrong password
    /// costs at least one hash with the current parameters, so that an account with a cheaper hash takes as long as an
    /// unknown email (OWASP ASVS 5.0 clause 6.3.8). An account with a costlier hash takes longer, until its first
    /// sign-in replaces an imported hash.
    ///
    /// # Errors
    /// [`Error::Internal`] when the stored hash is unusable, or the operating system provides no memory or no
    /// randomness.
    pub(crate) fn verify(&mut self, password: &Password, stored: &str) -> Result<Verdict, Error> {
        let stored = StoredHash::parse(stored)?;
        let turn = self.turn(stored.memory_kib());
        let matches = match &stored {
            StoredHash::Argon2(hash) => self.matches(hash, password)?,
            StoredHash::Foreign(hash) => {
                if hash.memory_kib() > 0 {
                    self.release_memory();
                }
                hash.matches(password.as_sent().as_bytes())?
            }
        };
        drop(turn);
        let current = HashCost::of(&self.params);
        if matches {
            let upgrade = stored.is_weaker_than(current).then(|| self.hash(password)).transpose()?;
            return Ok(Verdict { matches, upgrade });
        }
        if let Some(padding) = current.padding(stored.work()) {
            self.burn(padding, password)?;
        }
        Ok(Verdict { matches, upgrade: None })
    }

    fn matches(&mut self, hash: &Argon2Hash, password: &Password) -> Result<bool, Error> {
        let mut output = vec![0; hash.output.len()];
        self.fill(&hash.argon2(), password, &hash.salt, &mut output)?;
        Ok(Output::new(&output).is_ok_and(|output| output == hash.output))
    }

    /// Waits until the thread may use this much memory, in KiB.
    fn turn(&self, memory_kib: u32) -> Option<MutexGuard<'static, ()>> {
        let is_large = memory_kib > LARGE_KIB.max(self.params.m_cost());
        is_large.then(|| LARGE.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the hasher holds a memory block.
    pub(crate) fn holds_memory(&self) -> bool {
        !self.memory.is_empty()
    }

    /// Returns the memory block to the operating system.
    pub(crate) fn release_memory(&mut self) {
        self.memory = Vec::new_in(System);
    }

    /// Computes a hash of this cost and discards the hash.
    fn burn(&mut self, cost: HashCost, password: &Password) -> Result<(), Error> {
        let params = cost.params().map_err(|e| failed(&e))?;
        self.fill(&argon2_with(&params), password, &[0; SALT_BYTES], &mut [0; Params::DEFAULT_OUTPUT_LEN])
    }

    fn fill(&mut self, argon2: &Argon2<'_>, password: &Password, salt: &[u8], output: &mut [u8]) -> Result<(), Error> {
        let blocks = argon2.params().block_count();
        self.reserve(blocks)?;
        argon2
            .hash_password_into_with_memory(password.as_str().as_bytes(), salt, output, &mut self.memory[..blocks])
            .map_err(|e| failed(&e))?;
        #[cfg(test)]
        {
            self.work += HashCost::of(argon2.params()).work();
        }
        // A stored hash with larger parameters must not make the thread keep more memory.
        if self.memory.len() > self.params.block_count() {
            self.release_memory();
        }
        Ok(())
    }

    fn reserve(&mut self, blocks: usize) -> Result<(), Error> {
        if self.memory.len() >= blocks {
            return Ok(());
        }
        self.release_memory();
        self.memory.try_reserve_exact(blocks.max(MAPPED_BYTES / Block::SIZE)).map_err(|e| failed(&e))?;
        self.memory.resize(blocks, Block::default());
        Ok(())
    }
}

fn argon2_with(params: &Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("cannot hash a password: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::PASSWORD_MAX_BYTES;

    const COST: HashCost = HashCost { memory_kib: 64, iterations: 2, parallelism: 1 };
    const CHEAPER: HashCost = HashCost { iterations: 1, ..COST };

    fn hasher(cost: HashCost) -> Hasher {
        Hasher::new(cost.params().unwrap())
    }

    fn secret() -> Password {
        Password::new("secret")
    }

    #[test]
    fn every_byte_of_the_longest_password_counts() {
        let long = "x".repeat(PASSWORD_MAX_BYTES);
        let stored = hasher(COST).hash(&Password::new(&long)).unwrap();
        assert!(hasher(COST).verify(&Password::new(&long), &stored).unwrap().matches);
        for at in [0, 72, PASSWORD_MAX_BYTES - 1] {
            let mut other = long.clone();
            other.replace_range(at..=at, "y");
            assert!(!hasher(COST).verify(&Password::new(&other), &stored).unwrap().matches, "{at}");
        }
    }

    #[test]
    fn one_password_has_a_salt_of_its_own_each_time() {
        let mut hasher = hasher(COST);
        let [first, second] = [(); 2].map(|()| Argon2Hash::parse(&hasher.hash(&secret()).unwrap()).unwrap());
        assert_eq!((first.salt.len(), second.salt.len()), (SALT_BYTES, SALT_BYTES));
        assert_ne!(first.salt, second.salt);
        assert_ne!(first.output, second.output);
    }

    #[test]
    fn the_right_password_upgrades_a_weaker_hash_once_and_keeps_a_stronger_one() {
        let weak = hasher(CHEAPER).hash(&secret()).unwrap();
        let upgraded = hasher(COST).verify(&secret(), &weak).unwrap().upgrade.unwrap();
        assert!(upgraded.starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{upgraded}");
        let kept = Verdict { matches: true, upgrade: None };
        assert_eq!(hasher(COST).verify(&secret(), &upgraded).unwrap(), kept);
        assert_eq!(hasher(CHEAPER).verify(&secret(), &upgraded).unwrap(), kept);
    }

    #[test]
    fn a_wrong_password_costs_a_hash_of_current_parameters_whatever_those_of_the_account() {
        let current = HashCost { memory_kib: 512, iterations: 3, parallelism: 1 };
        for (memory_kib, iterations) in [(512, 3), (512, 1), (512, 2), (64, 3), (128, 1), (256, 5)] {
            let stored = hasher(HashCost { memory_kib, iterations, ..current }).hash(&secret()).unwrap();
            let mut hasher = hasher(current);
            let verdict = hasher.verify(&Password::new("wrong"), &stored).unwrap();
            assert_eq!(verdict, Verdict { matches: false, upgrade: None });
            assert!(
                current.work() - hasher.work < current.iterations,
                "m={memory_kib},t={iterations}: {}",
                hasher.work
            );
        }
    }

    #[test]
    fn an_imported_hash_is_replaced_at_once_and_padded_like_a_cheaper_one() {
        // The hash of "correct horse" by bcrypt 5.0, with the lowest cost.
        let imported = "$2a$04$YpORbkxwV7DUm8Aq.fVMA.qaDdkJSmm9Y5r6AP1WDWhD1nHeQ8IOe";
        let current = HashCost { memory_kib: 2_048, iterations: 2, parallelism: 1 };
        let mut hasher = hasher(current);
        assert_eq!(hasher.verify(&secret(), imported).unwrap(), Verdict { matches: false, upgrade: None });
        let spent = StoredHash::parse(imported).unwrap().work();
        assert!(hasher.work + spent + current.iterations > current.work(), "{} and {spent}", hasher.work);
        let upgrade = hasher.verify(&Password::new("correct horse"), imported).unwrap().upgrade.unwrap();
        assert!(upgrade.starts_with("$argon2id$v=19$m=2048,t=2,p=1$"), "{upgrade}");
    }

    #[test]
    fn djangos_form_of_argon2_is_verified() {
        let django = "argon2$argon2id$v=19$m=64,t=1,p=2$TkZhS3I0N0MwcWo1djAzVVlJVU5UaA$XKis7k0maB4RFxIXTqPAjLJsF/ElD7lR7NNnU2si6RA";
        assert!(hasher(COST).verify(&Password::new("correct horse"), django).unwrap().matches);
        assert!(!hasher(COST).verify(&secret(), django).unwrap().matches);
    }

    #[test]
    fn an_earlier_larger_hash_leaves_nothing_in_the_next() {
        let reference = argon2_with(&COST.params().unwrap());
        let (salt, mut expected) = (b"0123456789abcdef", [0; 32]);
        reference.hash_password_into(b"secret", salt, &mut expected).unwrap();
        let mut hasher = hasher(HashCost { memory_kib: 500, ..COST });
        hasher.hash(&Password::new("an earlier one")).unwrap();
        let mut output = [0; 32];
        hasher.fill(&reference, &secret(), salt, &mut output).unwrap();
        assert_eq!(output, expected);
    }

    #[test]
    fn the_memory_block_is_kept_but_never_one_larger_than_the_current() {
        let larger = hasher(HashCost { memory_kib: 4_096, ..COST }).hash(&secret()).unwrap();
        let mut hasher = hasher(COST);
        let own = hasher.hash(&secret()).unwrap();
        assert!(hasher.holds_memory());
        hasher.verify(&secret(), &larger).unwrap();
        assert!(!hasher.holds_memory());
        hasher.verify(&secret(), &own).unwrap();
        assert_eq!(hasher.memory.len(), 64);
        hasher.release_memory();
        assert!(!hasher.holds_memory());
    }
}
