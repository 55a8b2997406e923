//! The settings that say where the store is.

use std::time::Duration;

use auth_service_records::secret::Secret;
use auth_service_store::{
    REDIS_FORMS, is_redis_url,
    settings::{RedisSettings, StoreSettings, TlsFiles, Wait},
};

use super::reader::{Reader, Reported};

const PREFIX_MAX_BYTES: usize = 64;

/// Redis if `REDIS_URL` is set, else the embedded store.
pub(super) fn store(reader: &mut Reader<'_>) -> StoreSettings {
    match reader.secret("REDIS_URL") {
        Ok(None) => {
            let directory = reader.text("DATA_DIR").unwrap_or_else(|| "./data".to_owned());
            StoreSettings::Embedded { directory: directory.into() }
        }
        Ok(Some(url)) => {
            // The store checks the rest of the form when it parses the URL.
            if !is_redis_url(&url) {
                reader.problem("REDIS_URL", REDIS_FORMS);
            }
            StoreSettings::Redis(redis(reader, url))
        }
        // A file that cannot be used still means Redis, so that the other settings of Redis are checked too.
        Err(Reported) => StoreSettings::Redis(redis(reader, String::new())),
    }
}

fn redis(reader: &mut Reader<'_>, url: String) -> RedisSettings {
    let password = reader.secret("REDIS_PASSWORD").unwrap_or(None).map(Secret::new);
    let key_prefix = reader.text("REDIS_KEY_PREFIX").unwrap_or_else(|| "as:".to_owned());
    if !is_key_prefix(&key_prefix) {
        let rest = "must be 1 to 64 visible ASCII characters, without spaces and without { } * ? [ ] \\";
        reader.problem("REDIS_KEY_PREFIX", rest);
    }
    let tls = tls_files(reader);
    let replicas = reader.number("REDIS_WAIT_REPLICAS", 0, 0..=16);
    // The wait is shorter than a second, because a client must learn of an outage within a second.
    let timeout = Duration::from_millis(reader.number("REDIS_WAIT_TIMEOUT_MS", 300, 10..=500));
    RedisSettings {
        url: Secret::new(url),
        username: reader.text("REDIS_USERNAME"),
        password,
        key_prefix,
        tls,
        wait: (replicas > 0).then_some(Wait { replicas, timeout }),
    }
}

/// Braces would move the hash tag of Redis Cluster. The other excluded characters have a meaning in the patterns of
/// `SCAN` and of access control lists.
fn is_key_prefix(text: &str) -> bool {
    (1..=PREFIX_MAX_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !br"{}*?[]\".contains(&byte))
}

fn tls_files(reader: &mut Reader<'_>) -> Option<TlsFiles> {
    let authority = reader.file("REDIS_TLS_CA_FILE");
    let (certificate, key) = (reader.file("REDIS_TLS_CERT_FILE"), reader.file("REDIS_TLS_KEY_FILE"));
    if certificate.is_some() != key.is_some() {
        reader.problem("REDIS_TLS_CERT_FILE", "and REDIS_TLS_KEY_FILE go together; set both or none");
    }
    let client = certificate.zip(key);
    (authority.is_some() || client.is_some()).then_some(TlsFiles { authority, client })
}

#[cfg(test)]
mod tests {
    use super::{super::sources::Sources, *};

    fn read(settings: &[(&str, &str)]) -> Result<StoreSettings, Vec<String>> {
        Reader::read(&Sources::of(settings), store)
    }

    /// The settings of Redis, with these beside `REDIS_URL`.
    fn redis_with(settings: &[(&str, &str)]) -> Result<RedisSettings, Vec<String>> {
        match read(&[&[("REDIS_URL", "redis://127.0.0.1")], settings].concat())? {
            StoreSettings::Redis(redis) => Ok(redis),
            StoreSettings::Embedded { .. } => panic!("REDIS_URL is set"),
        }
    }

    #[test]
    fn without_a_url_the_store_is_embedded() {
        assert!(matches!(read(&[("DATA_DIR", "x")]), Ok(StoreSettings::Embedded { directory }) if directory == *"x"));
    }

    #[test]
    fn the_prefix_of_keys_is_visible_ascii_without_braces_and_wildcards() {
        assert_eq!(redis_with(&[]).unwrap().key_prefix, "as:");
        let longest = "p".repeat(64);
        for good in ["staging:", "~!", "x", &longest] {
            assert_eq!(redis_with(&[("REDIS_KEY_PREFIX", good)]).unwrap().key_prefix, good);
        }
        let too_long = "p".repeat(65);
        for bad in ["{a}", "a}", "a b", "a*", "a?", "[a", "a]", "a\\", "a\n", "a\u{7f}", "ä", &too_long] {
            let sentences = redis_with(&[("REDIS_KEY_PREFIX", bad)]).unwrap_err();
            assert!(sentences[0].starts_with("REDIS_KEY_PREFIX must be 1 to 64 visible"), "{bad:?} {sentences:?}");
        }
    }

    #[test]
    fn writes_wait_only_for_a_number_of_replicas() {
        assert_eq!(redis_with(&[("REDIS_WAIT_TIMEOUT_MS", "100")]).unwrap().wait, None);
        let wait = Some(Wait { replicas: 2, timeout: Duration::from_millis(300) });
        assert_eq!(redis_with(&[("REDIS_WAIT_REPLICAS", "2")]).unwrap().wait, wait);
    }

    #[test]
    fn a_client_certificate_needs_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cert");
        std::fs::write(&path, "PEM").unwrap();
        let certificate = ("REDIS_TLS_CERT_FILE", path.to_str().unwrap());
        let sentence = "REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE go together; set both or none";
        assert_eq!(redis_with(&[certificate]).unwrap_err(), [sentence]);
        // A file that cannot be read is one problem, not two.
        let sentences = redis_with(&[certificate, ("REDIS_TLS_KEY_FILE", "no such file")]).unwrap_err();
        assert!(sentences.len() == 1 && sentences[0].starts_with("REDIS_TLS_KEY_FILE names a file"), "{sentences:?}");
    }

    #[test]
    fn a_url_in_a_file_that_cannot_be_used_still_means_redis() {
        let sentences = read(&[("REDIS_URL_FILE", "no such file"), ("REDIS_WAIT_REPLICAS", "x")]).unwrap_err();
        assert_eq!(sentences.len(), 2, "{sentences:?}");
    }
}
