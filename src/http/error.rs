//! The one table from outcomes to status, code and sentence, and the error body.

use std::borrow::Cow;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::json;
use crate::error::{Error, FieldError};

/// An error answer.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    fields: Vec<FieldError>,
    extra: Extra,
    detail: Option<String>,
}

/// What the request's log line tells of an error answer, carried in the response's extensions.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) code: &'static str,
    /// Never sent to the client.
    pub(super) detail: Option<String>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    result: &'static str,
    error: &'static str,
    code: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    fields: &'a [FieldBody<'a>],
}

#[derive(Serialize)]
struct FieldBody<'a> {
    field: &'static str,
    message: &'a Cow<'static, str>,
}

/// Seconds; the conditions that ask for a retry pass quickly or not at all.
const RETRY_SOON: u64 = 1;

/// The one more header that some error answers have.
#[derive(Debug, Clone, Copy)]
enum Extra {
    None,
    /// 405: the methods that the route does have (RFC 9110, section 15.5.6).
    Allow(&'static str),
    /// 401: whether a token came (RFC 6750, section 3).
    Challenge {
        token_came: bool,
    },
    /// 429, 503: in seconds.
    RetryAfter(u64),
}

impl Extra {
    fn header(self) -> Option<(HeaderName, HeaderValue)> {
        Some(match self {
            Self::None => return None,
            Self::Allow(methods) => (header::ALLOW, HeaderValue::from_static(methods)),
            Self::Challenge { token_came: false } => (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Self::Challenge { token_came: true } => {
                (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""))
            }
            Self::RetryAfter(seconds) => (header::RETRY_AFTER, seconds.into()),
        })
    }
}

impl Problem {
    pub(super) const BODY_NOT_JSON: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "invalid_json",
        "The request body must be one JSON object, in UTF-8 and without duplicate fields",
    );
    pub(super) const BODY_BROKEN: Self =
        Self::new(StatusCode::BAD_REQUEST, "invalid_body", "The request body ended early; send it again whole");
    pub(super) const BODY_TOO_LARGE: Self =
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The request body must not exceed 16 KiB");
    pub(super) const BODY_TOO_SLOW: Self = Self::new(
        StatusCode::REQUEST_TIMEOUT,
        "request_timeout",
        "The request body took too long to arrive; send it again",
    );
    pub(super) const NOT_JSON: Self = Self::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "A request body needs the header Content-Type: application/json",
    );
    pub(super) const NO_SUCH_ROUTE: Self = Self::new(
        StatusCode::NOT_FOUND,
        "route_not_found",
        "There is no such route; see the API table in the documentation",
    );
    pub(super) const QUERY: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "query_not_allowed",
        "This route takes no query parameters; send fields in the JSON body and tokens in headers",
    );
    pub(super) const QUERY_OF_SESSIONS: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "query_not_allowed",
        "The only query parameter that this route takes is except=current",
    );
    pub(super) const HOST: Self =
        Self::new(StatusCode::BAD_REQUEST, "invalid_host", "An HTTP/1.1 request needs exactly one Host header");
    pub(super) const TOO_MANY_HEADERS: Self = Self::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "too_many_headers",
        "A request must not have more than 64 headers",
    );
    pub(super) const TWO_TOKENS: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "ambiguous_token",
        "Send the access token once, in one Authorization header and nowhere else",
    );
    const VALIDATION: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "validation_failed",
        "Correct the fields listed in \"fields\" and send the request again",
    );

    pub(super) const DEADLINE: Self =
        Self::unavailable("deadline_exceeded", "The request took too long; try again shortly");
    pub(super) const SHUTTING_DOWN: Self =
        Self::unavailable("shutting_down", "This server is shutting down; send the request to another replica");

    const fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message, fields: Vec::new(), extra: Extra::None, detail: None }
    }

    const fn unavailable(code: &'static str, message: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).with(Extra::RetryAfter(RETRY_SOON))
    }

    const fn unauthorized(code: &'static str, message: &'static str, token_came: bool) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, message).with(Extra::Challenge { token_came })
    }

    const fn with(mut self, extra: Extra) -> Self {
        self.extra = extra;
        self
    }

    /// `allow` lists the methods that the route does have.
    pub(super) const fn method_not_allowed(allow: &'static str) -> Self {
        let message = "This route does not have that method; the Allow header lists those it has";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message).with(Extra::Allow(allow))
    }

    pub(super) fn invalid(fields: Vec<FieldError>) -> Self {
        Self { fields, ..Self::VALIDATION }
    }

    fn internal(detail: String) -> Self {
        let message = "Something went wrong on our side; try again, and report the X-Request-Id if it stays";
        Self { detail: Some(detail), ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message) }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::EmailTaken => {
                Self::new(StatusCode::CONFLICT, "email_taken", "Duplicate record exists with the same email id")
            }
            Error::InvalidCredentials => {
                Self::unauthorized("invalid_credentials", "Authentication failed - incorrect email or password", false)
            }
            Error::TokenMissing => Self::unauthorized(
                "token_missing",
                "Send an access token in the Authorization header; sign in to get one",
                false,
            ),
            Error::TokenInvalid => {
                Self::unauthorized("invalid_token", "The token is not valid; sign in to get a new one", true)
            }
            Error::TokenExpired => Self::unauthorized(
                "token_expired",
                "The token has expired; refresh the access token, or sign in again",
                true,
            ),
            Error::TokenReused => Self::unauthorized(
                "token_reused",
                "The refresh token was used before, so its session is ended; sign in again",
                true,
            ),
            Error::WeakPassword { field, advice } => Self::invalid(vec![FieldError {
                field,
                message: format!("is too easy to guess. {advice}").trim_end().to_owned().into(),
            }]),
            Error::WrongPassword => Self::new(
                StatusCode::FORBIDDEN,
                "wrong_password",
                "The present password is not right; nothing is changed",
            ),
            Error::SessionNotFound => {
                Self::new(StatusCode::NOT_FOUND, "session_not_found", "Session not found; GET /sessions lists yours")
            }
            Error::Throttled(seconds) => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_attempts",
                "Too many attempts; try again after the seconds that the Retry-After header gives",
            )
            .with(Extra::RetryAfter(seconds)),
            Error::TokenNotFound => Self::new(StatusCode::NOT_FOUND, "token_not_found", "Access token not found"),
            Error::UserNotFound => Self::new(StatusCode::NOT_FOUND, "user_not_found", "User not found"),
            Error::NotOwner => Self::new(
                StatusCode::FORBIDDEN,
                "not_owner",
                "The access token belongs to somebody else; only a user's own tokens can be removed",
            ),
            Error::Overloaded => {
                Self::unavailable("overloaded", "The server has more requests than it can serve; try again shortly")
            }
            Error::Unavailable(outage) => Self {
                code: outage.code(),
                ..Self::unavailable("", "The service is temporarily unavailable; try again shortly")
            },
            Error::NotReplicated => Self::unavailable(
                "not_replicated",
                "The change was made, but too few replicas have it yet, and it may be lost; see whether it holds, or send it again",
            ),
            Error::Internal(detail) => Self::internal(detail),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let fields: Vec<_> = self.fields.iter().map(|f| FieldBody { field: f.field, message: &f.message }).collect();
        let body =
            ErrorBody { result: "Error occurred", error: self.message, code: self.code, fields: fields.as_slice() };
        let mut response = json(self.status, &body);
        if let Some((name, value)) = self.extra.header() {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(Failure { code: self.code, detail: self.detail });
        response
    }
}
