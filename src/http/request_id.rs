//! The id of a request, which is in its answer and its log lines.

use auth_service_token::Id;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries the id, in requests and in answers.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_BYTES: usize = 64;

/// The id of a request, which is safe in a log.
#[derive(Debug, Clone)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    /// The id that the client sent if it is safe in a log, else a new one.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match headers.get(X_REQUEST_ID) {
            Some(id) if is_sane(id.as_bytes()) => Self(id.clone()),
            _ => Self::new(),
        }
    }

    /// A new id.
    pub(super) fn new() -> Self {
        // Without randomness, sign-ins fail anyway. Here the only harm is a log that is harder to read.
        let id = Id::random().ok().and_then(|id| HeaderValue::from_str(id.as_str()).ok());
        Self(id.unwrap_or(HeaderValue::from_static("unknown")))
    }

    /// The id, in visible ASCII.
    pub(super) fn as_str(&self) -> &str {
        // The fallback is never used, because both sources of an id are ASCII.
        self.0.to_str().unwrap_or_default()
    }
}

impl From<RequestId> for HeaderValue {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

fn is_sane(id: &[u8]) -> bool {
    (1..=MAX_BYTES).contains(&id.len())
        && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(sent: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(sent).unwrap());
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_sane_id_is_kept() {
        let longest = "x".repeat(MAX_BYTES);
        for id in ["x", "0", "a.B-c_9", "01890a5d-ac96-774b-bcce-b302099a8057", &longest] {
            assert_eq!(id_for(id.as_bytes()), id);
        }
    }

    #[test]
    fn any_other_id_is_replaced_by_a_new_one() {
        let too_long = "x".repeat(MAX_BYTES + 1);
        for id in ["", "two words", "quo\"te", "{}", "x,y", "../x", "caf\u{e9}", &too_long] {
            let (first, second) = (id_for(id.as_bytes()), id_for(id.as_bytes()));
            assert!(is_sane(first.as_bytes()) && first != id && first != second, "{id}");
        }
    }
}
