//! The private key is nowhere in clear: not in Redis, not in the log.

use auth_service_token::{SealingKey, SigningKey};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use serde_json::Value;

use super::scene::{ES256, KEY, SHORT_LEAD, keys, kid, signs_with};
use crate::support::{ACCESS_SECRET, REFRESH_SECRET, RedisServer, TestApp, wait_until};

/// The private keys of the record, which the secret opens, by their ids.
fn private_keys(record: &Value, secret: &str) -> Vec<(String, Vec<u8>)> {
    let secret = SealingKey::new(secret.as_bytes());
    let open = |key: &Value| {
        let kid = key["kid"].as_str().unwrap().to_owned();
        let sealed = URL_SAFE_NO_PAD.decode(key["sealed"][secret.id().as_str()].as_str()?).unwrap();
        let private = secret.open(&sealed, kid.as_bytes())?;
        Some((kid, private))
    };
    record["keys"].as_array().unwrap().iter().filter_map(open).collect()
}

#[test]
fn who_reads_redis_and_the_log_cannot_sign() {
    let redis = RedisServer::start(&[]);
    let app = TestApp::start_on(&redis.url(), &[ES256, SHORT_LEAD, ("RUST_LOG", "trace")]);
    let session = app.new_session();
    let first = kid(&session.access_token);
    assert_eq!(keys(&app, &["rotate"]).0, 0);
    wait_until("the next key signs", || signs_with(&app, &session.email) != first);
    let text: String = redis.command(&["GET", KEY]);
    let record: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(private_keys(&record, REFRESH_SECRET), []);
    let private = private_keys(&record, ACCESS_SECRET);
    assert_eq!(private.len(), 2);
    // The whole database, as an attacker would have it.
    let mut dump = Vec::new();
    for name in redis.command::<Vec<String>>(&["KEYS", "*"]) {
        dump.extend(redis.command::<Vec<u8>>(&["DUMP", &name]));
    }
    dump.extend(text.bytes());
    dump.extend(app.output().bytes());
    for (kid, pkcs8) in private {
        let key = SigningKey::from_pkcs8(&pkcs8).unwrap();
        assert_eq!(key.verifying_key().kid().as_str(), kid);
        // The 32 bytes of the private scalar, in PKCS#8.
        let scalar = &pkcs8[36..68];
        let hex: String = scalar.iter().map(|byte| format!("{byte:02x}")).collect();
        let numbers = format!("{scalar:?}");
        let forms = [
            scalar.to_vec(),
            hex.into_bytes(),
            numbers.trim_matches(['[', ']']).as_bytes().to_vec(),
            URL_SAFE_NO_PAD.encode(scalar).into_bytes(),
            STANDARD_NO_PAD.encode(&pkcs8[..60]).into_bytes(),
        ];
        for form in forms {
            assert!(!dump.windows(form.len()).any(|part| part == form), "the private key of {kid} is in clear");
        }
    }
}
