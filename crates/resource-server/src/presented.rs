//! The token that a request presents.

use http::{HeaderMap, HeaderValue, header};

const BLANKS: [char; 2] = [' ', '\t'];

/// What the `Authorization` header of a request holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Presented<'a> {
    /// No token: no header, another scheme, or a scheme without a token.
    None,
    /// Two `Authorization` headers.
    Ambiguous,
    /// Text that has not been verified.
    Token(&'a str),
}

impl<'a> Presented<'a> {
    /// Reads the token: after the scheme `Bearer` in any case (RFC 6750, section 2.1), or bare, as auth-service itself
    /// accepts tokens.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (_, Some(_)) => Self::Ambiguous,
            (None, _) => Self::None,
            (Some(value), None) => token(value).map_or(Self::None, Self::Token),
        }
    }
}

fn token(value: &HeaderValue) -> Option<&str> {
    // A value that is not ASCII counts as a forged token.
    let credentials = value.to_str().unwrap_or("?");
    let is_bearer = |scheme: &str| scheme.eq_ignore_ascii_case("bearer");
    let token = match credentials.split_once(BLANKS) {
        Some((scheme, token)) if is_bearer(scheme) => token.trim_start_matches(BLANKS),
        None if !is_bearer(credentials) => credentials,
        _ => return None,
    };
    (!token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let value = |value: &&str| HeaderValue::from_bytes(value.as_bytes()).unwrap();
        values.iter().map(|text| (header::AUTHORIZATION, value(text))).collect()
    }

    #[test]
    fn a_token_comes_bare_or_as_bearer() {
        for credentials in ["a.b.c", "Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c", "Bearer\t a.b.c"] {
            assert_eq!(Presented::of(&headers(&[credentials])), Presented::Token("a.b.c"), "{credentials}");
        }
        assert_eq!(Presented::of(&headers(&["caf\u{e9}"])), Presented::Token("?"));
    }

    #[test]
    fn another_scheme_and_bearer_alone_are_no_token() {
        for credentials in ["", "Basic dXNlcjpwYXNz", "Token a.b.c", "Bearer", "bearer "] {
            assert_eq!(Presented::of(&headers(&[credentials])), Presented::None, "{credentials}");
        }
        assert_eq!(Presented::of(&HeaderMap::new()), Presented::None);
    }

    #[test]
    fn two_headers_are_ambiguous() {
        assert_eq!(Presented::of(&headers(&["Bearer a.b.c", "Bearer a.b.c"])), Presented::Ambiguous);
    }
}
