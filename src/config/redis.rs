//! The settings that say where the store is.

use std::time::Duration;

use auth_service_records::secret::Secret;
use auth_service_store::{
    REDIS_FORMS, is_redis_url,
    settings::{DEFAULT_KEY_PREFIX, PemFile, RedisSettings, SecretText, StoreSettings, TlsFiles, Wait},
};

use super::{
    reader::{Reader, Reported},
    settings::SETTINGS,
    sources::file_setting,
};

const PREFIX_MAX_BYTES: usize = 64;

/// Redis if `REDIS_URL` is set, else the embedded store.
pub(super) fn store(reader: &mut Reader<'_>) -> StoreSettings {
    match reader.secret("REDIS_URL") {
        Ok(None) => {
            warn_if_redis_is_expected(reader);
            reader.warn_if_empty("DATA_DIR", "the embedded store is in ./data");
            let directory = reader.text("DATA_DIR").unwrap_or_else(|| "./data".to_owned());
            StoreSettings::Embedded { directory: directory.into() }
        }
        Ok(Some(url)) => {
            // The store checks the rest of the form when it parses the URL.
            if !is_redis_url(&url) {
                reader.problem("REDIS_URL", REDIS_FORMS);
            }
            StoreSettings::Redis(Box::new(redis(reader, url)))
        }
        // A file that cannot be used still means Redis, so that the other settings of Redis are checked too.
        Err(Reported) => StoreSettings::Redis(Box::new(redis(reader, String::new()))),
    }
}

/// Warns, at most once, if other settings show that the operator expects Redis although `REDIS_URL` is not set. Replicas
/// that each serve an embedded store of their own would otherwise lose accounts without a word.
fn warn_if_redis_is_expected(reader: &mut Reader<'_>) {
    let without_effect: Vec<_> = SETTINGS.iter().map(|setting| setting.name).filter(|name| is_of_redis(name)).collect();
    let given = |names: &[&'static str]| names.iter().copied().filter(|name| reader.is_given(name)).collect::<Vec<_>>();
    let (of_redis, secrets) = (given(&without_effect), given(&["AUTH_SECRET_KEY", "REFRESH_SECRET_KEY"]));
    let before = reader.warnings();
    reader.warn_if_empty("REDIS_URL", "the server uses the embedded store, which other replicas do not share");
    if reader.warnings() > before {
        return;
    }
    let advice = "set REDIS_URL, or remove";
    if let [first, ..] = of_redis[..] {
        let names = of_redis.join(", ");
        let rest = format!("has no effect without REDIS_URL, because the embedded store is in use; {advice} {names}");
        reader.warning(first, &rest);
    } else if !secrets.is_empty() {
        let rest = format!(
            "is not set, although the signing secrets are: the server uses the embedded store, which other replicas do \
             not share; {advice} the secrets, which the server then generates"
        );
        reader.warning("REDIS_URL", &rest);
    }
}

fn is_of_redis(name: &str) -> bool {
    name.starts_with("REDIS_") && name != "REDIS_URL"
}

fn redis(reader: &mut Reader<'_>, url: String) -> RedisSettings {
    reader.warn_if_empty("REDIS_PASSWORD", "only the password in REDIS_URL counts");
    let key_prefix = reader.text("REDIS_KEY_PREFIX").unwrap_or_else(|| DEFAULT_KEY_PREFIX.to_owned());
    if !is_key_prefix(&key_prefix) {
        let rest = "must be 1 to 64 visible ASCII characters, without spaces and without { } * ? [ ] \\";
        reader.problem("REDIS_KEY_PREFIX", rest);
    }
    let tls = tls_files(reader);
    let replicas = reader.number("REDIS_WAIT_REPLICAS", 0, 0..=16);
    // The wait is shorter than a second, because a client must learn of an outage within a second.
    let timeout = Duration::from_millis(reader.number("REDIS_WAIT_TIMEOUT_MS", 300, 10..=500));
    RedisSettings {
        url: secret_text(reader, "REDIS_URL", url),
        username: reader.text("REDIS_USERNAME"),
        password: password(reader, "REDIS_PASSWORD"),
        sentinel_username: reader.text("REDIS_SENTINEL_USERNAME"),
        sentinel_password: password(reader, "REDIS_SENTINEL_PASSWORD"),
        key_prefix,
        tls,
        wait: (replicas > 0).then_some(Wait { replicas, timeout }),
    }
}

fn password(reader: &mut Reader<'_>, name: &str) -> Option<SecretText> {
    let value = reader.secret(name).unwrap_or(None)?;
    Some(secret_text(reader, name, value))
}

/// The value of the setting `name`, with the file that it came from.
fn secret_text(reader: &Reader<'_>, name: &str, value: String) -> SecretText {
    SecretText { value: Secret::new(value), file: reader.text(&file_setting(name)).map(Into::into) }
}

/// Braces would move the hash tag of Redis Cluster. The other excluded characters have a meaning in the patterns of
/// `SCAN` and of access control lists.
fn is_key_prefix(text: &str) -> bool {
    (1..=PREFIX_MAX_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !br"{}*?[]\".contains(&byte))
}

fn tls_files(reader: &mut Reader<'_>) -> Option<TlsFiles> {
    reader.warn_if_empty("REDIS_TLS_CA_FILE", "the server trusts the certificates of the system");
    for name in ["REDIS_TLS_CERT_FILE", "REDIS_TLS_KEY_FILE"] {
        reader.warn_if_empty(name, "the server has no client certificate");
    }
    reader.warn_if_open("REDIS_TLS_KEY_FILE");
    let mut pem = |name| {
        let text = reader.file(name)?;
        Some(PemFile { name, file: reader.text(name).unwrap_or_default().into(), text })
    };
    let [authority, certificate, key] =
        ["REDIS_TLS_CA_FILE", "REDIS_TLS_CERT_FILE", "REDIS_TLS_KEY_FILE"].map(&mut pem);
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
        Reader::read(&Sources::of(settings), store).map(|(settings, _)| settings)
    }

    /// The sentences of the warnings.
    fn warnings(settings: &[(&str, &str)]) -> Vec<String> {
        let (_, warnings) = Reader::read(&Sources::of(settings), store).unwrap();
        warnings.into_iter().map(|warning| warning.sentence).collect()
    }

    /// The settings of Redis, with these beside `REDIS_URL`.
    fn redis_with(settings: &[(&str, &str)]) -> Result<RedisSettings, Vec<String>> {
        match read(&[&[("REDIS_URL", "redis://127.0.0.1")], settings].concat())? {
            StoreSettings::Redis(redis) => Ok(*redis),
            StoreSettings::Embedded { .. } => panic!("REDIS_URL is set"),
        }
    }

    #[test]
    fn without_a_url_the_store_is_embedded() {
        assert!(matches!(read(&[("DATA_DIR", "x")]), Ok(StoreSettings::Embedded { directory }) if directory == *"x"));
    }

    #[test]
    fn redis_that_is_expected_without_a_url_is_warned_of_once() {
        let secrets = [("AUTH_SECRET_KEY", "x"), ("REFRESH_SECRET_KEY", "y")];
        let others = [("REDIS_WAIT_REPLICAS", "1"), ("REDIS_PASSWORD", "z")];
        for (settings, start) in [
            (&[&secrets[..], &others, &[("REDIS_URL", "")]].concat(), "REDIS_URL is empty, so the server uses"),
            (&[&secrets[..], &others].concat(), "REDIS_PASSWORD has no effect without REDIS_URL"),
            (&secrets.to_vec(), "REDIS_URL is not set, although the signing secrets are"),
        ] {
            let warnings = warnings(settings);
            assert!(warnings.len() == 1 && warnings[0].starts_with(start), "{warnings:?}");
        }
        assert!(warnings(&others)[0].ends_with("set REDIS_URL, or remove REDIS_PASSWORD, REDIS_WAIT_REPLICAS"));
        let url = ("REDIS_URL", "redis://127.0.0.1");
        for quiet in [&[][..], &[("DATA_DIR", "x")], &[url, secrets[0], secrets[1], others[0], others[1]]] {
            assert_eq!(warnings(quiet), [""; 0]);
        }
    }

    #[test]
    fn empty_places_of_data_and_secrets_are_warned_of() {
        let url = ("REDIS_URL", "redis://127.0.0.1");
        for name in ["REDIS_PASSWORD", "REDIS_PASSWORD_FILE", "REDIS_TLS_CA_FILE", "REDIS_TLS_KEY_FILE"] {
            let warnings = warnings(&[url, (name, "")]);
            assert!(warnings.len() == 1 && warnings[0].starts_with(&format!("{name} is empty, so")), "{warnings:?}");
        }
        assert_eq!(warnings(&[url, ("REDIS_KEY_PREFIX", ""), ("DATA_DIR", "")]), [""; 0]);
        assert!(warnings(&[("DATA_DIR", "")])[0].starts_with("DATA_DIR is empty, so the embedded store is in ./data"));
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
