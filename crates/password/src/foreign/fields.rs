//! The parts of a hash: numbers, base64 and hexadecimal.

use argon2::password_hash::phc::Output;
use base64::{
    Engine,
    alphabet::{BCRYPT, STANDARD},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// The shortest hash in bytes. A shorter one would match too many passwords.
const SHORTEST_OUTPUT: usize = 16;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
static STANDARD_BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
static BCRYPT_BASE64: GeneralPurpose = GeneralPurpose::new(&BCRYPT, LENIENT);

/// A decimal number without a sign.
pub(super) fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Base64 of RFC 4648, with or without padding, of either alphabet.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD_BASE64.decode(text.replace('-', "+").replace('_', "/")).ok()
}

/// The base64 of bcrypt.
pub(super) fn bcrypt_base64(text: &str) -> Option<Vec<u8>> {
    BCRYPT_BASE64.decode(text).ok()
}

/// Hexadecimal, in lower or upper case.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

/// The hash itself, of a length that is long enough and that the comparison supports.
pub(super) fn output(bytes: &[u8]) -> Option<Output> {
    (bytes.len() >= SHORTEST_OUTPUT).then(|| Output::new(bytes).ok())?
}
