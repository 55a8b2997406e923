//! Recovery codes, for users who have lost their authenticator app.

use std::fmt;

/// The alphabet of base32 (RFC 4648, section 6). It has neither `0` nor `1`, which look like letters.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// The number of characters. Each has five bits, so a code has 80.
pub(crate) const CHARACTERS: usize = 16;
const GROUP: usize = 4;

/// A recovery code: 80 random bits. Nobody can try enough codes to find one, even with its hash (OWASP ASVS 5.0, clause
/// 6.5.2).
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode([u8; CHARACTERS]);

impl RecoveryCode {
    /// A code from the operating system's generator.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; CHARACTERS];
        getrandom::fill(&mut bytes)?;
        // Each value of five bits is as likely as the others.
        Ok(Self(bytes.map(|byte| ALPHABET[usize::from(byte % 32)])))
    }

    /// The code in these 16 characters, in upper case and without hyphens.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let characters: [u8; CHARACTERS] = text.as_bytes().try_into().ok()?;
        characters.iter().all(|character| ALPHABET.contains(character)).then_some(Self(characters))
    }

    /// The characters without hyphens, whose digest the server keeps.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Four groups of four characters, as the user sees the code.
impl fmt::Display for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, character) in self.0.iter().enumerate() {
            let hyphen = if index > 0 && index % GROUP == 0 { "-" } else { "" };
            write!(f, "{hyphen}{}", char::from(*character))?;
        }
        Ok(())
    }
}

/// Never shows the code.
impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(..)")
    }
}
