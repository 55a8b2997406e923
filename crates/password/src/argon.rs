//! Hashes with argon2 in the PHC string format, `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`.

use std::fmt;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use auth_service_records::error::Error;

use crate::{cost::HashCost, unusable::Unusable};

/// A hash as the store keeps it.
pub(crate) struct Argon2Hash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    /// The salt of the hash.
    pub(crate) salt: Salt,
    /// The hash of the right password. Its comparison takes constant time.
    pub(crate) output: Output,
}

impl Argon2Hash {
    /// Reads a PHC string of any variant of argon2.
    ///
    /// # Errors
    /// If `phc` is not such a string, or if a parameter exceeds its maximum in [`HashCost`]. A corrupt or hostile record
    /// must not take all memory, or occupy a thread for minutes.
    pub(crate) fn parse(phc: &str) -> Result<Self, Unusable> {
        let hash = PasswordHash::new(phc).map_err(|e| unknown_form(&e))?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(|e| unknown_form(&e))?;
        // A string without a version has version 1.0, as in the reference implementation, because early strings lack
        // the field.
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(|e| unknown_form(&e))?;
        let params = Params::try_from(&hash).map_err(|e| unknown_form(&e))?;
        if !HashCost::of(&params).is_within_bounds() {
            return Err(Unusable::Cost);
        }
        let (Some(salt), Some(output)) = (hash.salt, hash.hash) else {
            return Err(unknown_form(&"the salt or the hash is missing"));
        };
        Ok(Self { algorithm, version, params, salt, output })
    }

    /// The cost of a hash with the parameters of the stored hash.
    pub(crate) fn cost(&self) -> HashCost {
        HashCost::of(&self.params)
    }

    /// Whether a hash of the cost `current` would be stronger.
    pub(crate) fn is_weaker_than(&self, current: HashCost) -> bool {
        self.algorithm != Algorithm::Argon2id || self.version != Version::V0x13 || self.cost().is_weaker_than(current)
    }

    /// The hash function with the parameters of the stored hash.
    pub(crate) fn argon2(&self) -> Argon2<'static> {
        Argon2::new(self.algorithm, self.version, self.params.clone())
    }
}

/// The PHC string of a hash with argon2id, version 1.3.
///
/// # Errors
/// [`Error::Internal`] when a part does not fit the format.
pub(crate) fn phc(params: &Params, salt: &[u8], output: &[u8]) -> Result<String, Error> {
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(|e| unknown_form(&e))?,
        salt: Some(Salt::new(salt).map_err(|e| unknown_form(&e))?),
        hash: Some(Output::new(output).map_err(|e| unknown_form(&e))?),
    };
    Ok(hash.to_string())
}

fn unknown_form(why: &dyn fmt::Display) -> Unusable {
    Unusable::Form(why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &str = "c2FsdHNhbHRzYWx0c2FsdA";
    const HASH: &str = "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";

    fn parse(start: &str) -> Result<Argon2Hash, Unusable> {
        Argon2Hash::parse(&format!("{start}${SALT}${HASH}"))
    }

    #[test]
    fn what_is_written_can_be_read() {
        let params = HashCost { memory_kib: 64, iterations: 2, parallelism: 3 }.params().unwrap();
        let text = phc(&params, &[7; 16], &[9; 32]).unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=64,t=2,p=3$"), "{text}");
        let read = Argon2Hash::parse(&text).unwrap();
        assert_eq!(
            (read.cost(), &*read.salt, read.output.as_bytes()),
            (HashCost::of(&params), &[7; 16][..], &[9; 32][..])
        );
    }

    #[test]
    fn the_largest_parameters_are_read_and_larger_ones_refused() {
        assert!(parse("$argon2id$v=19$m=1048576,t=32,p=16").is_ok());
        for hostile in
            ["m=1048577,t=1,p=1", "m=4294967295,t=1,p=1", "m=64,t=33,p=1", "m=64,t=4294967295,p=1", "m=1024,t=1,p=17"]
        {
            let refused = parse(&format!("$argon2id$v=19${hostile}"));
            assert!(matches!(refused, Err(Unusable::Cost)), "{hostile}");
        }
    }

    #[test]
    fn a_corrupt_record_is_an_error() {
        let long = "A".repeat(100_000);
        for corrupt in
            ["", "$", "x", "$argon2id", "$argon2id$v=19$m=64,t=1,p=1", "$2b$12$abcdefghijklmnopqrstuv", &long]
        {
            assert!(matches!(Argon2Hash::parse(corrupt), Err(Unusable::Form(_))), "{corrupt:.40}");
        }
        for start in [
            "$argon2id$v=18$m=64,t=1,p=1",
            "$scrypt$m=64,t=1,p=1",
            "$argon2id$v=19$m=1,t=1,p=1",
            "$argon2id$v=19$m=64,t=0,p=1",
            "$argon2id$v=19$m=64,t=1,p=0",
        ] {
            assert!(matches!(parse(start), Err(Unusable::Form(_))), "{start}");
        }
    }

    #[test]
    fn other_variants_and_versions_of_argon2_are_weaker() {
        let current = HashCost { memory_kib: 64, iterations: 1, parallelism: 1 };
        for (start, weaker) in [
            ("$argon2id$v=19$m=64,t=1,p=1", false),
            ("$argon2i$v=19$m=64,t=1,p=1", true),
            ("$argon2d$v=19$m=64,t=1,p=1", true),
            ("$argon2id$v=16$m=64,t=1,p=1", true),
            ("$argon2id$m=64,t=1,p=1", true),
        ] {
            assert_eq!(parse(start).unwrap().is_weaker_than(current), weaker, "{start}");
        }
    }
}
