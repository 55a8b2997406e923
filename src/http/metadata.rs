//! The metadata of this authorization server (RFC 8414).

use axum::{http::HeaderMap, response::Response};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::document::Document;

/// The metadata.
pub struct Metadata {
    document: Document,
    /// The path of the issuer, without a slash at its end.
    issuer_path: String,
}

/// RFC 8414, section 2. The addresses of the endpoints begin with the issuer.
#[derive(Serialize)]
struct Body<'a> {
    issuer: &'a str,
    jwks_uri: String,
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: [&'static str; 1],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: [&'static str; 2],
    token_endpoint: &'a str,
    token_endpoint_auth_methods_supported: [&'static str; 1],
    grant_types_supported: [&'a str; 1],
    response_types_supported: [&'static str; 1],
}

impl Metadata {
    /// The metadata of `issuer`. `None` if the issuer is not an http or https URL, because metadata needs one.
    #[must_use]
    pub fn new(issuer: &str) -> Option<Self> {
        let url = Url::parse(issuer).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let at = |path: &str| format!("{}{path}", issuer.trim_end_matches('/'));
        let token_endpoint = at("/authenticate");
        let body = Body {
            issuer,
            jwks_uri: at("/.well-known/jwks.json"),
            introspection_endpoint: at("/introspect"),
            introspection_endpoint_auth_methods_supported: ["client_secret_basic"],
            revocation_endpoint: at("/revoke"),
            revocation_endpoint_auth_methods_supported: ["none", "client_secret_basic"],
            token_endpoint: &token_endpoint,
            token_endpoint_auth_methods_supported: ["none"],
            // The sign-in is no grant of RFC 6749. A grant of one's own has a URI as its name (section 4.5), and the
            // URI keeps OAuth clients from sending a form.
            grant_types_supported: [&token_endpoint],
            // RFC 8414 requires the list, although there is no authorization endpoint.
            response_types_supported: ["none"],
        };
        let issuer_path = url.path().trim_end_matches('/').to_owned();
        Some(Self { document: Document::new(&body), issuer_path })
    }

    /// The metadata, as an example in the documentation.
    pub(super) fn example(&self) -> Value {
        serde_json::from_slice(self.document.bytes()).unwrap_or_default()
    }

    /// The answer to a request with these headers, whose path ends with `issuer_path`. `None` if this is the path of
    /// another issuer. The empty path always gets the answer, because some proxies take the path of the issuer off.
    pub(super) fn answer(&self, issuer_path: &str, headers: &HeaderMap) -> Option<Response> {
        (issuer_path.is_empty() || issuer_path == self.issuer_path).then(|| self.document.answer(headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(issuer: &str) -> Option<Vec<&'static str>> {
        let metadata = Metadata::new(issuer)?;
        let asked = ["", "/", "/auth", "/auth/", "/a/b%20c", "/a"];
        Some(asked.into_iter().filter(|path| metadata.answer(path, &HeaderMap::new()).is_some()).collect())
    }

    #[test]
    fn the_path_of_the_issuer_follows_the_well_known_path() {
        for (issuer, expected) in [
            ("https://auth.example.com", &[""][..]),
            ("https://auth.example.com/", &[""]),
            ("http://localhost:3000", &[""]),
            ("https://example.com/auth", &["", "/auth"]),
            ("https://example.com/auth/", &["", "/auth"]),
            ("https://example.com/a/b%20c", &["", "/a/b%20c"]),
        ] {
            assert_eq!(paths(issuer).as_deref(), Some(expected), "{issuer}");
        }
        for none in ["auth-service", "", "urn:auth", "ftp://auth.example.com"] {
            assert_eq!(paths(none), None, "{none}");
        }
    }
}
