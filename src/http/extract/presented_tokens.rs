//! The tokens in the headers of a request.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};

use crate::http::problem_response::Problem;

const REFRESH_TOKEN: HeaderName = HeaderName::from_static("refresh-token");
const BLANKS: [char; 2] = [' ', '\t'];

/// The unverified tokens. They share the memory of the headers.
pub(crate) struct PresentedTokens {
    authorization: Option<HeaderValue>,
    refresh_token: Option<HeaderValue>,
}

impl PresentedTokens {
    /// Reads the tokens from the headers.
    ///
    /// # Errors
    /// [`Problem::TWO_TOKENS`] if a header occurs twice.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let authorization = only(headers, &header::AUTHORIZATION)?;
        Ok(Self { authorization, refresh_token: only(headers, &REFRESH_TOKEN)? })
    }

    /// The token of the `Authorization` header: bare, or after the scheme `Bearer` in any case and any blanks (RFC 9110,
    /// section 11.4, and RFC 6750, section 2.1). The scheme alone, and the credentials of another scheme, are no token.
    pub(crate) fn access(&self) -> Option<&str> {
        token_in(text(self.authorization.as_ref()?))
    }

    /// The token of the `Refresh-Token` header.
    pub(crate) fn refresh(&self) -> Option<&str> {
        self.refresh_token.as_ref().map(text).filter(|token| !token.is_empty())
    }
}

impl<S: Sync> FromRequestParts<S> for PresentedTokens {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

/// The unverified token of the `Authorization` header, as [`PresentedTokens::access`], for a route that reads no refresh
/// token. Two `Refresh-Token` headers are no error there.
pub(crate) struct AccessToken(pub(crate) Option<String>);

impl<S: Sync> FromRequestParts<S> for AccessToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let authorization = only(&parts.headers, &header::AUTHORIZATION)?;
        Ok(Self(authorization.as_ref().and_then(|value| token_in(text(value))).map(str::to_owned)))
    }
}

/// The value of a header that may come once.
fn only(headers: &HeaderMap, name: &HeaderName) -> Result<Option<HeaderValue>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Problem::TWO_TOKENS),
        (value, None) => Ok(value.cloned()),
    }
}

fn token_in(credentials: &str) -> Option<&str> {
    let is_bearer = |scheme: &str| scheme.eq_ignore_ascii_case("bearer");
    let token = match credentials.split_once(BLANKS) {
        None if is_bearer(credentials) => return None,
        None => credentials,
        Some((scheme, token)) if is_bearer(scheme) => token.trim_start_matches(BLANKS),
        Some(_) => return None,
    };
    (!token.is_empty()).then_some(token)
}

/// A value that is not ASCII counts as a forged token.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(authorization: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(authorization.as_bytes()).unwrap());
        PresentedTokens::of(&headers).ok().unwrap().access().map(str::to_owned)
    }

    #[test]
    fn a_token_comes_bare_or_as_bearer() {
        for credentials in
            ["a.b.c", "Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c", "Bearer\ta.b.c", "Bearer \t a.b.c"]
        {
            assert_eq!(access(credentials).as_deref(), Some("a.b.c"), "{credentials}");
        }
    }

    #[test]
    fn another_scheme_and_bearer_alone_are_no_token() {
        for credentials in
            ["", "Basic dXNlcjpwYXNz", "Basic\tx", "Token a.b.c", "Digest a=b, c=d", "Bearer: a.b.c", "bearer"]
        {
            assert_eq!(access(credentials), None, "{credentials}");
        }
    }

    #[test]
    fn what_is_left_is_a_bad_token() {
        for (credentials, token) in [("Bearer:", "Bearer:"), ("Bearer Bearer x", "Bearer x"), ("caf\u{e9}", "?")] {
            assert_eq!(access(credentials).as_deref(), Some(token));
        }
    }

    #[test]
    fn two_headers_are_refused() {
        for name in [header::AUTHORIZATION, REFRESH_TOKEN] {
            let mut headers = HeaderMap::new();
            headers.append(&name, HeaderValue::from_static("a"));
            headers.append(&name, HeaderValue::from_static("a"));
            assert!(PresentedTokens::of(&headers).is_err());
        }
    }
}
