//! The ES256 key of servers in tests whose key the tests know.

use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Arc, OnceLock},
    time::Instant,
};

use auth_service_token::{Algorithm, KeySet, Keys, SigningKey, Tokens};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::command::Settings;

/// Not in the text of the PEM below, because test.sh looks for private keys in the files of git.
const LABEL: &str = "PRIVATE KEY";

/// The key, and the same key in PEM.
struct KnownKey {
    key: Arc<SigningKey>,
    pem: String,
}

fn known() -> &'static KnownKey {
    static KNOWN: OnceLock<KnownKey> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let (key, pkcs8) = SigningKey::generate().unwrap();
        let base64 = STANDARD.encode(pkcs8);
        let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem = format!("-----BEGIN {LABEL}-----\n{}\n-----END {LABEL}-----\n", lines.join("\n"));
        KnownKey { key: Arc::new(key), pem }
    })
}

/// The key that signs the access tokens of a server with [`sign_with_known_key`].
pub(crate) fn known_signing_key() -> &'static SigningKey {
    &known().key
}

/// Lets `tokens` verify ES256 tokens of the known key.
pub(super) fn with_known_key(tokens: Tokens) -> Tokens {
    let keys = Keys::default();
    keys.replace(KeySet::new(&[*known().key.verifying_key()], None), Instant::now());
    tokens.with_keys(Algorithm::Hs256, keys)
}

/// The settings of a server that signs with the known key, whose file this function writes into `directory`.
pub(crate) fn sign_with_known_key(directory: &Path) -> [(&'static str, String); 2] {
    let path = directory.join("signing-key.pem");
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    file.unwrap().write_all(known().pem.as_bytes()).unwrap();
    [("ACCESS_TOKEN_ALGORITHM", "ES256".to_owned()), ("SIGNING_KEY_FILE", path.to_str().unwrap().to_owned())]
}

/// With `TEST_ACCESS_TOKEN_ALGORITHM=ES256`, the servers of all tests sign with the known key, except in tests that set
/// another algorithm. A key from a file signs at once, so the tests take no longer.
pub(super) fn add_signing_key(settings: &mut Settings, directory: &Path) {
    match std::env::var("TEST_ACCESS_TOKEN_ALGORITHM").as_deref() {
        Ok("ES256") if !settings.contains_key("ACCESS_TOKEN_ALGORITHM") => {
            settings.extend(sign_with_known_key(directory).map(|(name, value)| (name.to_owned(), value)));
        }
        Err(_) | Ok("" | "HS256" | "ES256") => {}
        Ok(other) => panic!("TEST_ACCESS_TOKEN_ALGORITHM={other}: it must be HS256 or ES256"),
    }
}
