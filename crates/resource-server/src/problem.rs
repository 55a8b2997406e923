//! The error answers of the middleware. They have the form, the codes and the sentences of auth-service.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use crate::refusal::Refusal;

/// In seconds. Most outages end quickly.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
const BARE_CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer");
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    sentence: &'static str,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// RFC 6750, section 3.1: the challenge of a request without a token has no error code.
    pub(crate) fn missing() -> Self {
        let sentence = "Send an access token in the Authorization header; sign in to get one";
        Self::unauthorized("token_missing", sentence, BARE_CHALLENGE)
    }

    pub(crate) fn ambiguous() -> Self {
        let sentence = "Send each token once, in one header and nowhere else";
        Self { status: StatusCode::BAD_REQUEST, code: "ambiguous_token", sentence, header: None }
    }

    fn unauthorized(code: &'static str, sentence: &'static str, challenge: HeaderValue) -> Self {
        let header = Some((header::WWW_AUTHENTICATE, challenge));
        Self { status: StatusCode::UNAUTHORIZED, code, sentence, header }
    }

    fn unavailable() -> Self {
        let sentence = "The token cannot be checked right now; try again shortly";
        let header = Some((header::RETRY_AFTER, RETRY_AFTER));
        Self { status: StatusCode::SERVICE_UNAVAILABLE, code: "verification_unavailable", sentence, header }
    }

    pub(crate) fn into_response<B: From<String>>(self) -> Response<B> {
        let Self { status, code, sentence, header } = self;
        // None of these texts needs an escape.
        let body = format!(r#"{{"result":"Error occurred","error":"{sentence}","code":"{code}"}}"#);
        let mut response = Response::new(B::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(header);
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid | Refusal::Revoked => {
                let sentence = "The token is not valid; sign in to get a new one";
                Self::unauthorized("invalid_token", sentence, CHALLENGE)
            }
            Refusal::Expired => {
                let sentence = "The token has expired; refresh the access token, or sign in again";
                Self::unauthorized("token_expired", sentence, CHALLENGE)
            }
            Refusal::Unavailable => Self::unavailable(),
        }
    }
}
