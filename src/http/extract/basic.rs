//! The credentials of resource servers: HTTP Basic (RFC 7617), as OAuth clients send it (RFC 6749, section 2.3.1).

use std::{borrow::Cow, net::IpAddr};

use auth_service_records::resource_servers::ResourceServers;
use axum::http::HeaderValue;
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode::Indifferent, GeneralPurpose, GeneralPurposeConfig},
};
use url::form_urlencoded;

use crate::log::Seldom;

/// Some clients leave the padding out.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(Indifferent));
const BLANKS: [char; 2] = [' ', '\t'];

/// The resource servers, and the warning about refused credentials. All workers share them, so that the warnings stay
/// few.
#[derive(Default)]
pub struct BasicAuthentication {
    servers: ResourceServers,
    refused: Seldom,
}

impl BasicAuthentication {
    /// Accepts the credentials of these resource servers.
    #[must_use]
    pub fn new(servers: ResourceServers) -> Self {
        Self { servers, refused: Seldom::new() }
    }

    /// Whether a value of the `Authorization` header has the credentials of a resource server.
    ///
    /// RFC 6749 wants the name and the secret form-urlencoded, but many clients send them as they are. Both readings
    /// are compared in any case.
    pub(super) fn accepts(&self, authorization: &HeaderValue) -> bool {
        let Some(credentials) = decode(authorization) else { return false };
        let mut parts = credentials.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(secret)) = (parts.next(), parts.next()) else { return false };
        let plain = self.servers.knows(name, secret);
        let decoded = self.servers.knows(form_decoded(name).as_bytes(), form_decoded(secret).as_bytes());
        plain | decoded
    }

    /// The warning shows nothing that the client sent, because a wrong name may be a secret.
    pub(super) fn warn(&self, address: IpAddr) {
        if let Some(refused) = self.refused.due() {
            tracing::warn!(
                refused,
                %address,
                "credentials of resource servers were refused; compare the name and the secret of the caller with \
                 RESOURCE_SERVERS"
            );
        }
    }
}

/// The bytes after the scheme `Basic`, in any case, and one or more blanks.
fn decode(authorization: &HeaderValue) -> Option<Vec<u8>> {
    let (scheme, encoded) = authorization.to_str().ok()?.split_once(BLANKS)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    BASE64.decode(encoded.trim_matches(BLANKS)).ok()
}

/// Decodes one value of a form. A value with `&` or `=` is not encoded, and stays as it is.
fn form_decoded(value: &[u8]) -> Cow<'_, str> {
    if value.iter().any(|byte| matches!(byte, b'&' | b'=')) {
        return String::from_utf8_lossy(value);
    }
    form_urlencoded::parse(value).next().map_or(Cow::Borrowed(""), |(value, _)| value)
}

#[cfg(test)]
mod tests {
    use auth_service_records::{resource_servers, secret::Secret};

    use super::*;

    fn accepts(authorization: &[u8]) -> bool {
        let entry = |name, secret: &str| resource_servers::entry(name, &Secret::new(secret.to_owned()));
        let entries = [entry("orders", "a+b%20c:d&e=f"), entry("mail", "ü ?"), entry("plain", "xyz")].join(",");
        let servers = ResourceServers::parse(&entries).ok().unwrap();
        BasicAuthentication::new(servers).accepts(&HeaderValue::from_bytes(authorization).unwrap())
    }

    fn basic(credentials: &str) -> String {
        format!("Basic {}", BASE64.encode(credentials))
    }

    #[test]
    fn credentials_come_as_they_are_or_form_urlencoded() {
        for credentials in [
            "orders:a+b%20c:d&e=f",
            "orders:a%2Bb%2520c%3Ad%26e%3Df",
            "%6Frders:a%2bb%2520c%3ad%26e%3df",
            "mail:ü ?",
            "mail:%C3%BC+%3F",
            "mail:%C3%BC%20%3F",
            "plain:xyz",
        ] {
            assert!(accepts(basic(credentials).as_bytes()), "{credentials}");
        }
        for authorization in ["basic cGxhaW46eHl6", "BASIC   cGxhaW46eHl6", "Basic\tcGxhaW46eHl6 "] {
            assert!(accepts(authorization.as_bytes()), "{authorization}");
        }
        assert!(accepts(basic("mail:ü ?").trim_end_matches('=').as_bytes()), "without padding");
    }

    #[test]
    fn anything_else_is_refused() {
        for credentials in [
            "",
            ":",
            "plain",
            "plain:",
            ":xyz",
            "plain:xyz\n",
            "plain :xyz",
            "orders:xyz",
            "plain:xyz:",
            "plain&x:xyz",
            "plain:xyz&x",
            "plain:xyz=",
        ] {
            assert!(!accepts(basic(credentials).as_bytes()), "{credentials:?}");
        }
        for authorization in [
            "",
            "Basic",
            "Basic ",
            "Basic =",
            "cGxhaW46eHl6",
            "Bearer cGxhaW46eHl6",
            "Basic: cGxhaW46eHl6",
            "Basic cGxhaW46eHl6, Basic cGxhaW46eHl6",
            "Basic cGxh aW46eHl6",
            "Basic cGxhaW46eHl6!",
            "Basic plain:xyz",
        ] {
            assert!(!accepts(authorization.as_bytes()), "{authorization}");
        }
        assert!(!accepts(b"Basic \xff"));
        // Base64 of the URL alphabet, and a name that is not UTF-8.
        assert!(!accepts(format!("Basic {}", BASE64.encode(b"\xff\xfe\xfb:xyz")).as_bytes()));
    }
}
