//! An error answer: its status, its body and its extra header. `problem.rs` has the table of all errors.

use std::borrow::Cow;

use auth_service_records::{
    error::{FieldError, MfaChallenge},
    refusal::Refusal,
};
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::response::json;

/// In seconds. Most outages end quickly, and a longer wait would not help with the others.
const RETRY_SOON: Extra = Extra::RetryAfter(1);

/// An error answer.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: &'static str,
    pub(super) header: Extra,
    pub(super) fields: Vec<FieldError>,
    /// What the client needs for the second step of a sign-in.
    pub(super) challenge: Option<Box<MfaChallenge>>,
    /// Why a token is refused, for the log only.
    pub(super) refusal: Option<Refusal>,
    /// For the log only.
    pub(super) detail: Option<String>,
}

/// The extra header of an error answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Extra {
    None,
    /// 405: the methods of the route (RFC 9110, section 15.5.6).
    Allow(&'static str),
    /// 415: the content codings that are accepted (RFC 9110, section 12.5.3).
    AcceptEncoding(&'static str),
    /// 401: whether the request had a token (RFC 6750, section 3).
    Challenge {
        token_came: bool,
    },
    /// 401: HTTP Basic, for resource servers (RFC 7617, section 2).
    BasicChallenge,
    /// 429, 503: the time to wait, in seconds (RFC 9110, section 10.2.3).
    RetryAfter(u64),
}

/// What the log line tells about an error answer, or about an answer that a token is not active. The answer carries it
/// as an extension.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// The code of an error answer.
    pub(super) code: Option<&'static str>,
    pub(super) refusal: Option<Refusal>,
    pub(super) detail: Option<String>,
}

#[derive(Serialize)]
pub(super) struct ErrorBody<'a> {
    result: &'static str,
    error: &'static str,
    code: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mfa_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mfa_expires_in: Option<u64>,
}

#[derive(Serialize)]
struct FieldBody<'a> {
    field: &'static str,
    message: &'a Cow<'static, str>,
}

impl Extra {
    /// The header and its value.
    pub(super) fn header(self) -> Option<(HeaderName, HeaderValue)> {
        Some(match self {
            Self::None => return None,
            Self::Allow(methods) => (header::ALLOW, HeaderValue::from_static(methods)),
            Self::AcceptEncoding(codings) => (header::ACCEPT_ENCODING, HeaderValue::from_static(codings)),
            Self::Challenge { token_came: false } => (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Self::Challenge { token_came: true } => {
                (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""))
            }
            Self::BasicChallenge => {
                (header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"auth-service\""))
            }
            Self::RetryAfter(seconds) => (header::RETRY_AFTER, seconds.into()),
        })
    }
}

/// How the table makes its problems.
impl Problem {
    pub(super) const fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        let header = Extra::None;
        Self { status, code, message, header, fields: Vec::new(), challenge: None, refusal: None, detail: None }
    }

    pub(super) const fn bad_request(code: &'static str, message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) const fn unauthorized(code: &'static str, message: &'static str, token_came: bool) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, message).with(Extra::Challenge { token_came })
    }

    pub(super) const fn not_found(code: &'static str, message: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(super) const fn unavailable(code: &'static str, message: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).with(RETRY_SOON)
    }

    pub(super) const fn with(mut self, header: Extra) -> Self {
        self.header = header;
        self
    }

    pub(super) fn because(self, refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..self }
    }
}

impl Problem {
    pub(super) fn body(&self) -> ErrorBody<'_> {
        let fields = self.fields.iter().map(|f| FieldBody { field: f.field, message: &f.message }).collect();
        let challenge = self.challenge.as_deref();
        ErrorBody {
            result: "Error occurred",
            error: self.message,
            code: self.code,
            fields,
            mfa_token: challenge.map(|challenge| challenge.token.as_str()),
            mfa_expires_in: challenge.map(|challenge| challenge.expires_in),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = json(self.status, &self.body());
        if let Some((name, value)) = self.header.header() {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(Failure { code: Some(self.code), refusal: self.refusal, detail: self.detail });
        response
    }
}
