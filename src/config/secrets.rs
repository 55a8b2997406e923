//! The two signing secrets, if the settings give them.

use auth_service_records::secret::{SECRET_MIN_BYTES, Secret, Secrets, is_monotonous};

use super::reader::Reader;

/// Parts of sample secrets, in our documentation and elsewhere.
const SAMPLE_MARKS: [&str; 4] = ["replace-me", "change-me", "changeme", "your-256-bit-secret"];

/// Both secrets. `None` if none is set and they are not `required`. The server then generates both in the data
/// directory.
///
/// One secret alone is an error, because the server would generate the other one, and a second machine would lack it.
pub(super) fn secrets(reader: &mut Reader<'_>, required: bool) -> Option<Secrets> {
    let access = reader.secret("AUTH_SECRET_KEY");
    let refresh = reader.secret("REFRESH_SECRET_KEY");
    if matches!((&access, &refresh), (Ok(None), Ok(None))) && !required {
        for name in ["AUTH_SECRET_KEY", "REFRESH_SECRET_KEY"] {
            reader.warn_if_empty(name, "the server generates the secret in DATA_DIR");
        }
        return None;
    }
    for (name, value) in [("AUTH_SECRET_KEY", &access), ("REFRESH_SECRET_KEY", &refresh)] {
        if let Some(rest) = value.as_ref().ok().and_then(|value| fault(value.as_deref(), required)) {
            reader.problem(name, rest);
        }
    }
    let (Ok(Some(access)), Ok(Some(refresh))) = (access, refresh) else { return None };
    if access == refresh {
        reader.problem("REFRESH_SECRET_KEY", "must differ from AUTH_SECRET_KEY");
    }
    Some(Secrets { access: Secret::new(access), refresh: Secret::new(refresh) })
}

/// What is wrong with a secret, as the rest of a sentence that starts with the name of the secret.
fn fault(secret: Option<&str>, required: bool) -> Option<&'static str> {
    match secret {
        None if required => Some("is required with Redis; make one with `auth-service secrets generate`"),
        None => Some("must be set, because the other secret is set; `auth-service secrets generate` makes both"),
        Some(secret) if secret.len() < SECRET_MIN_BYTES => {
            Some("must have at least 32 bytes; make one with `auth-service secrets generate`")
        }
        Some(secret) if is_monotonous(secret) => {
            Some("has blanks only or too few different characters; make one with `auth-service secrets generate`")
        }
        Some(secret) if is_sample(secret) => {
            Some("is a sample from documentation; make one with `auth-service secrets generate`")
        }
        Some(_) => None,
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
}
