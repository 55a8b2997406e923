//! The `User-Agent` header of a request.

use std::convert::Infallible;

use auth_service_records::session::USER_AGENT_MAX_BYTES;
use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, header, request::Parts},
};

/// The `User-Agent` header without control characters, cut to [`USER_AGENT_MAX_BYTES`].
pub(crate) struct UserAgent(pub(crate) String);

impl<S: Sync> FromRequestParts<S> for UserAgent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let value = parts.headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
        Ok(Self(bounded(&String::from_utf8_lossy(value))))
    }
}

fn bounded(text: &str) -> String {
    let mut text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.truncate(text.floor_char_boundary(USER_AGENT_MAX_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_cut_at_a_character_and_has_no_control_characters() {
        assert_eq!(bounded("two\ttabs \u{9b}31m\u{7f}"), "twotabs 31m");
        assert_eq!(bounded(&"x".repeat(300)), "x".repeat(256));
        assert_eq!(bounded(&format!("x{}", "ü".repeat(300))), format!("x{}", "ü".repeat(127)));
    }
}
