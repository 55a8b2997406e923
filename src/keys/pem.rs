//! Private keys in PEM (RFC 7468).

use auth_service_token::{Kid, SigningKey};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};

/// How to make a key, and how to convert one.
const MAKE: &str = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out NEW";
const CONVERT: &str = "openssl pkey -in OLD -out NEW";

/// Reads the keys: PKCS#8 of P-256, one or more.
///
/// # Errors
/// What is wrong, as the rest of a sentence that starts with the name of the setting. It shows nothing of a key.
pub(crate) fn signing_keys(pem: &[u8]) -> Result<Vec<SigningKey>, String> {
    let text = String::from_utf8_lossy(pem);
    let has = |label: &str| text.contains(&format!("-----BEGIN {label}-----"));
    if has("EC PRIVATE KEY") {
        return Err(format!("has a key in the format of SEC 1; convert it to PKCS#8: {CONVERT}"));
    }
    if has("ENCRYPTED PRIVATE KEY") {
        return Err(format!("has an encrypted key; remove the encryption: {CONVERT}"));
    }
    let other = || format!("has a key that is not one of P-256, which ES256 needs; make one: {MAKE}");
    if has("RSA PRIVATE KEY") {
        return Err(other());
    }
    let mut keys: Vec<SigningKey> = Vec::new();
    for section in PrivatePkcs8KeyDer::pem_slice_iter(pem) {
        let section = section.map_err(|_| format!("is not a PEM file of private keys; make one: {MAKE}"))?;
        let key = SigningKey::from_pkcs8(section.secret_pkcs8_der()).map_err(|_| other())?;
        let kid = |key: &SigningKey| -> Kid { key.verifying_key().kid() };
        if keys.iter().any(|earlier| kid(earlier) == kid(&key)) {
            return Err(format!("has the key {} twice; remove one of them", kid(&key)));
        }
        keys.push(key);
    }
    if keys.is_empty() { Err(format!("has no private key; make one: {MAKE}")) } else { Ok(keys) }
}
