//! The settings of tokens: their lives, their issuer and audience, and the algorithm of access tokens.

use auth_service_token::{Algorithm, Parties, SERVICE};
use url::Url;

use super::reader::Reader;

/// The life of an access token and the life of a refresh token, in seconds.
pub(super) fn lives(reader: &mut Reader<'_>) -> (u64, u64) {
    let access = reader.number("ACCESS_TOKEN_TTL_SECONDS", 60, 1..=86_400);
    let refresh = reader.number("REFRESH_TOKEN_TTL_SECONDS", 120, 1..=31_536_000);
    if refresh < access {
        reader.problem("REFRESH_TOKEN_TTL_SECONDS", "must not be less than ACCESS_TOKEN_TTL_SECONDS");
    }
    (access, refresh)
}

/// The algorithm that signs new access tokens.
pub(super) fn algorithm(reader: &mut Reader<'_>) -> Algorithm {
    let choices = [("HS256", Algorithm::Hs256), ("ES256", Algorithm::Es256)];
    reader.choice("ACCESS_TOKEN_ALGORITHM", Algorithm::Hs256, &choices)
}

/// The issuer and the audience of access tokens.
pub(super) fn parties(reader: &mut Reader<'_>) -> Parties {
    let issuer = reader.text("ISSUER").unwrap_or_else(|| SERVICE.to_owned());
    if issuer != SERVICE && !is_issuer(&issuer) {
        let rest = "must be the URL under which clients reach the server, such as https://auth.example.com, without \
                    user, query or fragment";
        reader.problem("ISSUER", rest);
    }
    let audience = reader.text("AUDIENCE").unwrap_or_else(|| SERVICE.to_owned());
    if audience.len() > MAX_BYTES || audience.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let rest = "must be one name or URL of the services that accept the access tokens, such as \
                    https://api.example.com, without blanks and of at most 255 bytes";
        reader.problem("AUDIENCE", rest);
    }
    Parties { issuer, audience }
}

/// The maximum length of an issuer and of an audience. Both are in every access token.
const MAX_BYTES: usize = 255;

/// RFC 8414, section 2, but `http` is allowed, for a private network. Verifiers compare issuers as text, so the text must
/// already be what a URL parser makes of it, apart from a slash at its end.
fn is_issuer(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let is_normal = url.as_str() == text || url.as_str() == format!("{text}/");
    matches!(url.scheme(), "http" | "https")
        && is_plain
        && is_normal
        && url.password().is_none()
        && text.len() <= MAX_BYTES
}

#[cfg(test)]
mod tests {
    use super::{super::sources::Sources, *};

    fn read(settings: &[(&str, &str)]) -> Result<Parties, Vec<String>> {
        Reader::read(&Sources::of(settings), parties).map(|(parties, _)| parties)
    }

    #[test]
    fn an_issuer_is_a_url_that_every_verifier_writes_the_same() {
        assert_eq!(read(&[]).unwrap(), Parties::default());
        for good in ["auth-service", "https://auth.example.com", "https://auth.example.com/", "http://10.0.0.1:3000/a"]
        {
            assert_eq!(read(&[("ISSUER", good)]).unwrap().issuer, good);
        }
        for bad in [
            "auth",
            "https://",
            "ftp://auth.example.com",
            "https://auth.example.com?a=b",
            "https://auth.example.com#a",
            "https://ada:secret@auth.example.com",
            "HTTPS://auth.example.com",
            "https://Auth.example.com",
            "https://auth.example.com:443",
            &format!("https://auth.example.com/{}", "a".repeat(255)),
        ] {
            let sentences = read(&[("ISSUER", bad)]).unwrap_err();
            assert!(sentences.len() == 1 && sentences[0].starts_with("ISSUER must be the URL"), "{bad}: {sentences:?}");
        }
    }

    #[test]
    fn an_audience_is_one_word() {
        for good in ["api", "https://api.example.com", "urn:example:api"] {
            assert_eq!(read(&[("AUDIENCE", good)]).unwrap().audience, good);
        }
        for bad in ["api, other", "a\u{7f}b", &"a".repeat(256)] {
            assert_eq!(read(&[("AUDIENCE", bad)]).unwrap_err().len(), 1, "{bad}");
        }
    }
}
