//! The signing secrets, if the settings give them, and the secrets that only verify.

use auth_service_records::secret::{SECRET_MIN_BYTES, Secret, Secrets, is_monotonous};

use super::reader::{Reader, Reported};

/// Parts of sample secrets, in our documentation and elsewhere.
const SAMPLE_MARKS: [&str; 4] = ["replace-me", "change-me", "changeme", "your-256-bit-secret"];

/// The names of the four secrets, in the order in which they are compared.
const NAMES: [&str; 4] =
    ["AUTH_SECRET_KEY", "REFRESH_SECRET_KEY", "AUTH_SECRET_KEY_PREVIOUS", "REFRESH_SECRET_KEY_PREVIOUS"];

/// The secrets. `None` if none is set and they are not `required`. The server then generates both signing secrets in
/// the data directory.
///
/// One signing secret alone is an error, because the server would generate the other one, and a second machine would
/// lack it.
pub(super) fn secrets(reader: &mut Reader<'_>, required: bool) -> Option<Secrets> {
    let values = NAMES.map(|name| reader.secret(name));
    if values.iter().all(|value| matches!(value, Ok(None))) && !required {
        for name in &NAMES[..2] {
            reader.warn_if_empty(name, "the server generates the secret in DATA_DIR");
        }
        return None;
    }
    for (n, (name, value)) in NAMES.iter().zip(&values).enumerate() {
        let Ok(value) = value else { continue };
        let fault = match value.as_deref() {
            Some(secret) => fault(secret),
            None if n < 2 => Some(missing(required)),
            None => None,
        };
        if let Some(rest) = fault {
            reader.problem(name, rest);
        }
    }
    let values: Vec<Option<String>> = values.into_iter().collect::<Result<_, Reported>>().ok()?;
    for (n, name) in NAMES.iter().enumerate() {
        if let Some(first) = values[..n].iter().position(|value| value.is_some() && *value == values[n]) {
            reader.problem(name, &format!("must differ from {}", NAMES[first]));
        }
    }
    let mut values = values.into_iter().map(|value| value.map(Secret::new));
    let mut next = || values.next().flatten();
    let (access, refresh, access_previous, refresh_previous) = (next(), next(), next(), next());
    Some(Secrets { access: access?, refresh: refresh?, access_previous, refresh_previous })
}

/// What is wrong if a signing secret is not set, as the rest of a sentence that starts with the name of the secret.
fn missing(required: bool) -> &'static str {
    if required {
        "is required with Redis; make one with `auth-service secrets generate`"
    } else {
        "must be set, because another secret is set; `auth-service secrets generate` makes both"
    }
}

/// What is wrong with a secret, as the rest of a sentence that starts with the name of the secret.
fn fault(secret: &str) -> Option<&'static str> {
    if secret.len() < SECRET_MIN_BYTES {
        Some("must have at least 32 bytes; make one with `auth-service secrets generate`")
    } else if is_monotonous(secret) {
        Some("has blanks only or too few different characters; make one with `auth-service secrets generate`")
    } else if is_sample(secret) {
        Some("is a sample from documentation; make one with `auth-service secrets generate`")
    } else {
        None
    }
}

fn is_sample(secret: &str) -> bool {
    let secret = secret.to_ascii_lowercase();
    SAMPLE_MARKS.iter().any(|mark| secret.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::{super::sources::Sources, *};

    const ACCESS: &str = "0123456789abcdef0123456789abcdef";
    const REFRESH: &str = "fedcba9876543210fedcba9876543210";

    fn read(required: bool, settings: &[(&str, &str)]) -> Result<Option<Secrets>, Vec<String>> {
        Reader::read(&Sources::of(settings), |reader| secrets(reader, required)).map(|(secrets, _)| secrets)
    }

    #[test]
    fn redis_needs_both_and_the_embedded_store_both_or_none() {
        assert!(read(false, &[]).unwrap().is_none());
        assert_eq!(read(true, &[]).unwrap_err().len(), 2);
        for required in [true, false] {
            assert_eq!(read(required, &[("AUTH_SECRET_KEY", ACCESS)]).unwrap_err().len(), 1);
            let both = read(required, &[("AUTH_SECRET_KEY", ACCESS), ("REFRESH_SECRET_KEY", REFRESH)]);
            assert_eq!(both.unwrap().unwrap().refresh.expose(), REFRESH);
        }
    }

    #[test]
    fn short_sample_and_equal_secrets_are_wrong() {
        for (secret, rest) in [
            (&ACCESS[1..], "must have at least 32 bytes"),
            (&*" ".repeat(32), "has blanks only or too few different characters"),
            (&*"ab".repeat(16), "has blanks only or too few different characters"),
            ("Replace-Me-with-the-output-of-secrets-generate", "is a sample from documentation"),
            (ACCESS, "must differ from AUTH_SECRET_KEY"),
        ] {
            let sentences = read(true, &[("AUTH_SECRET_KEY", ACCESS), ("REFRESH_SECRET_KEY", secret)]).unwrap_err();
            assert_eq!(sentences.len(), 1, "{sentences:?}");
            assert!(sentences[0].starts_with(&format!("REFRESH_SECRET_KEY {rest}")), "{sentences:?}");
        }
    }

    #[test]
    fn a_previous_secret_needs_the_signing_secrets_and_differs_from_all_others() {
        let signing = [("AUTH_SECRET_KEY", ACCESS), ("REFRESH_SECRET_KEY", REFRESH)];
        let with = |more: &[(&str, &str)]| read(false, &[&signing, more].concat());
        let other = "an older secret with at least 32 bytes";
        for name in &NAMES[2..] {
            assert_eq!(read(false, &[(name, other)]).unwrap_err().len(), 2, "{name} alone");
            assert!(with(&[(name, other)]).is_ok());
            for (secret, rest) in [
                (&other[..31], "must have at least 32 bytes"),
                (ACCESS, "must differ from AUTH_SECRET_KEY"),
                (REFRESH, "must differ from REFRESH_SECRET_KEY"),
            ] {
                let sentences = with(&[(name, secret)]).unwrap_err();
                assert_eq!(sentences.len(), 1, "{sentences:?}");
                assert!(sentences[0].starts_with(&format!("{name} {rest}")), "{sentences:?}");
            }
        }
        let sentences = with(&[(NAMES[2], other), (NAMES[3], other)]).unwrap_err();
        assert_eq!(sentences, ["REFRESH_SECRET_KEY_PREVIOUS must differ from AUTH_SECRET_KEY_PREVIOUS"]);
        let secrets = with(&[(NAMES[2], other)]).unwrap().unwrap();
        assert_eq!(secrets.access_previous.as_ref().map(Secret::expose), Some(other));
        assert!(secrets.refresh_previous.is_none());
    }
}
