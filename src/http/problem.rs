//! The table of errors: the status, the code and the sentence of each. Codes are part of the API. A sentence says what
//! to do, and never repeats text from the client.

use auth_service_records::error::{Error, FieldError, Outage};
use axum::http::StatusCode;

use super::problem_response::{Extra, Problem};

/// The problems of requests that reach no use case.
impl Problem {
    pub(super) const HOST: Self =
        Self::bad_request("invalid_host", "An HTTP/1.1 request needs exactly one Host header");
    pub(super) const TOO_MANY_HEADERS: Self = Self::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "too_many_headers",
        "A request must not have more than 64 headers",
    );
    pub(super) const ENCODING: Self = Self::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_encoding",
        "Send the request body as it is, without a Content-Encoding",
    )
    .with(Extra::AcceptEncoding("identity"));
    pub(super) const TRANSFER_CODING: Self = Self::new(
        StatusCode::NOT_IMPLEMENTED,
        "unsupported_transfer_coding",
        "Send the request body as it is or once chunked, without another Transfer-Encoding",
    );
    pub(super) const NO_SUCH_ROUTE: Self = Self::new(
        StatusCode::NOT_FOUND,
        "route_not_found",
        "There is no such route; GET /openapi.json describes all routes",
    );
    pub(super) const NOT_METRICS: Self =
        Self::not_found("route_not_found", "There is no such route; this address serves only GET /metrics");
    pub(super) const NO_ISSUER: Self = Self::not_found(
        "issuer_not_set",
        "This server has no metadata; set ISSUER to the URL under which clients reach this server",
    );
    pub(super) const QUERY: Self = Self::bad_request(
        "query_not_allowed",
        "This route does not take these query parameters; send fields in the body and tokens in headers",
    );
    pub(super) const TWO_TOKENS: Self =
        Self::bad_request("ambiguous_token", "Send each token once, in one header and nowhere else");

    /// RFC 6749, section 5.2 names the codes `invalid_client` and `invalid_request`.
    pub(super) const INVALID_CLIENT: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "Authenticate by HTTP Basic with the name and the secret of a resource server",
    )
    .with(Extra::BasicChallenge);
    pub(super) const TWO_CREDENTIALS: Self =
        Self::bad_request("invalid_request", "Send the name and the secret once, in one Authorization header");

    pub(super) const NOT_JSON: Self = Self::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "A request body needs the header Content-Type: application/json",
    );
    pub(super) const BODY_NOT_JSON: Self = Self::bad_request(
        "invalid_json",
        "The request body must be one JSON object, in UTF-8, with double quotes and without duplicate fields",
    );
    pub(super) const BODY_BROKEN: Self =
        Self::bad_request("invalid_body", "The request body ended early; send it again whole");
    pub(super) const BODY_TOO_LARGE: Self =
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The request body must not exceed 16 KiB");
    pub(super) const BODY_TOO_SLOW: Self = Self::new(
        StatusCode::REQUEST_TIMEOUT,
        "request_timeout",
        "The request body took too long to arrive; send it again",
    );
    pub(super) const NOT_FORM: Self = Self::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "The request body needs the header Content-Type: application/x-www-form-urlencoded",
    );
    pub(super) const FORM: Self =
        Self::bad_request("invalid_request", "Send a form with the token in the field \"token\", and each field once");
    const VALIDATION: Self =
        Self::bad_request("validation_failed", "Correct the fields listed in \"fields\" and send the request again");

    pub(super) const DEADLINE: Self =
        Self::unavailable("deadline_exceeded", "The request took too long; try again shortly");
    pub(super) const SHUTTING_DOWN: Self =
        Self::unavailable("shutting_down", "This server is shutting down; send the request to another replica");

    /// `allow` lists the methods of the route.
    pub(super) const fn method_not_allowed(allow: &'static str) -> Self {
        let message = "This route does not support the method; the Allow header lists the supported methods";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message).with(Extra::Allow(allow))
    }

    /// The problem that lists all wrong fields.
    pub(super) fn invalid(fields: Vec<FieldError>) -> Self {
        Self { fields, ..Self::VALIDATION }
    }
}

/// The problems that use cases return.
impl Problem {
    pub(super) const EMAIL_TAKEN: Self =
        Self::new(StatusCode::CONFLICT, "email_taken", "Duplicate record exists with the same email id");
    pub(super) const INVALID_CREDENTIALS: Self =
        Self::unauthorized("invalid_credentials", "Authentication failed - incorrect email or password", false);
    pub(super) const TOKEN_MISSING: Self = Self::unauthorized(
        "token_missing",
        "Send an access token in the Authorization header; sign in to get one",
        false,
    );
    pub(super) const TOKEN_INVALID: Self =
        Self::unauthorized("invalid_token", "The token is not valid; sign in to get a new one", true);
    pub(super) const TOKEN_EXPIRED: Self =
        Self::unauthorized("token_expired", "The token has expired; refresh the access token, or sign in again", true);
    pub(super) const TOKEN_REUSED: Self = Self::unauthorized(
        "token_reused",
        "The refresh token was used before, so its session has ended; sign in again",
        true,
    );
    pub(super) const WRONG_PASSWORD: Self =
        Self::new(StatusCode::FORBIDDEN, "wrong_password", "The current password is wrong; nothing has changed");
    pub(super) const MFA_REQUIRED: Self = Self::unauthorized(
        "mfa_required",
        "The account has a second factor; send the mfa_token and a code to /authenticate/totp",
        false,
    );
    pub(super) const INVALID_MFA_TOKEN: Self = Self::unauthorized(
        "invalid_mfa_token",
        "The mfa_token has expired or is no longer valid; sign in with the password again",
        false,
    );
    pub(super) const INVALID_CODE: Self = Self::unauthorized(
        "invalid_code",
        "The code is wrong or was used before; send the next code, or a recovery code",
        false,
    );
    pub(super) const WRONG_CODE: Self = Self::new(
        StatusCode::FORBIDDEN,
        "wrong_code",
        "The code is wrong or was used before; nothing has changed; send the next code",
    );
    pub(super) const TOTP_ALREADY_ENABLED: Self = Self::new(
        StatusCode::CONFLICT,
        "totp_already_enabled",
        "The account already has a second factor; remove it to set up another one",
    );
    pub(super) const TOTP_NOT_ENABLED: Self = Self::not_found("totp_not_enabled", "The account has no second factor");
    pub(super) const TOTP_NOT_STARTED: Self = Self::not_found(
        "totp_not_started",
        "No second factor waits for its first code; start again with POST /user/totp",
    );
    pub(super) const INVALID_MAIL_TOKEN: Self =
        Self::bad_request("invalid_mail_token", "The link was used before or is no longer valid; request a new mail");
    pub(super) const EMAIL_NOT_VERIFIED: Self = Self::new(
        StatusCode::FORBIDDEN,
        "email_not_verified",
        "The email address is not verified yet; open the link in the mail to this address, then try again",
    );
    pub(super) const MAIL_NOT_CONFIGURED: Self =
        Self::not_found("mail_not_configured", "This server sends no mail; ask its operator for help");
    pub(super) const NOT_OWNER: Self = Self::new(
        StatusCode::FORBIDDEN,
        "not_owner",
        "The access token belongs to another user; you can remove only your own tokens",
    );
    pub(super) const TOKEN_NOT_FOUND: Self = Self::not_found("token_not_found", "Access token not found");
    pub(super) const REFRESH_TOKEN_NOT_FOUND: Self = Self::not_found("token_not_found", "Refresh token not found");
    pub(super) const SESSION_NOT_FOUND: Self =
        Self::not_found("session_not_found", "Session not found; GET /sessions lists yours");
    pub(super) const USER_NOT_FOUND: Self = Self::not_found("user_not_found", "User not found");
    pub(super) const THROTTLED: Self = Self::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_attempts",
        "Too many attempts; try again after the number of seconds in the Retry-After header",
    );
    pub(super) const OVERLOADED: Self =
        Self::unavailable("overloaded", "The server has more requests than it can serve; try again shortly");
    pub(super) const HASHING_UNAVAILABLE: Self =
        Self::unavailable("hashing_unavailable", "Passwords cannot be checked right now; try again shortly");
    pub(super) const NO_SIGNING_KEY: Self =
        Self::unavailable("no_signing_key", "The server cannot sign tokens right now; try again shortly");
    pub(super) const NOT_REPLICATED: Self = Self::unavailable(
        "not_replicated",
        "The change was made, but too few replicas have it yet, so a failover may undo it; check the change, or send \
         the request again",
    );
    pub(super) const INTERNAL: Self = Self::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal_error",
        "Something went wrong on our side; try again, and report the X-Request-Id if the error persists",
    );
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::EmailTaken => Self::EMAIL_TAKEN,
            Error::InvalidCredentials => Self::INVALID_CREDENTIALS,
            Error::TokenMissing => Self::TOKEN_MISSING,
            Error::TokenInvalid(refusal) => Self::TOKEN_INVALID.because(refusal),
            Error::TokenExpired(refusal) => Self::TOKEN_EXPIRED.because(refusal),
            Error::TokenReused => Self::TOKEN_REUSED,
            Error::WrongPassword => Self::WRONG_PASSWORD,
            Error::MfaRequired(challenge) => Self { challenge: Some(Box::new(challenge)), ..Self::MFA_REQUIRED },
            Error::InvalidMfaToken(refusal) => Self::INVALID_MFA_TOKEN.because(refusal),
            Error::InvalidCode => Self::INVALID_CODE,
            Error::WrongCode => Self::WRONG_CODE,
            Error::TotpAlreadyEnabled => Self::TOTP_ALREADY_ENABLED,
            Error::TotpNotEnabled => Self::TOTP_NOT_ENABLED,
            Error::TotpNotStarted => Self::TOTP_NOT_STARTED,
            Error::InvalidMailToken => Self::INVALID_MAIL_TOKEN,
            Error::EmailNotVerified => Self::EMAIL_NOT_VERIFIED,
            Error::MailNotConfigured => Self::MAIL_NOT_CONFIGURED,
            Error::NotOwner => Self::NOT_OWNER,
            Error::TokenNotFound => Self::TOKEN_NOT_FOUND,
            Error::RefreshTokenNotFound => Self::REFRESH_TOKEN_NOT_FOUND,
            Error::SessionNotFound => Self::SESSION_NOT_FOUND,
            Error::UserNotFound => Self::USER_NOT_FOUND,
            Error::WeakPassword { field, problem } => {
                Self::invalid(vec![FieldError { field, message: problem.into() }])
            }
            Error::Throttled(seconds) => Self::THROTTLED.with(Extra::RetryAfter(seconds)),
            Error::Overloaded => Self::OVERLOADED,
            Error::NoSigningKey => Self::NO_SIGNING_KEY,
            Error::HashingUnavailable => Self::HASHING_UNAVAILABLE,
            Error::Unavailable(outage) => Self::unavailable(outage.code(), advice(outage)),
            Error::NotReplicated => Self::NOT_REPLICATED,
            Error::Internal(detail) => Self { detail: Some(detail), ..Self::INTERNAL },
        }
    }
}

/// What a client can do about an outage of the store.
pub(super) fn advice(outage: Outage) -> &'static str {
    match outage {
        Outage::Unreachable => "The store cannot be reached; try again shortly",
        Outage::Timeout => "The store did not answer in time, so a change may have been made or not; try again shortly",
        Outage::Loading => "The store is loading its data; try again shortly",
        Outage::ReadOnly => "The store is changing its primary; try again shortly",
        Outage::OutOfMemory => "The store has no memory left, so it makes no changes; try again later",
        Outage::DiskFailed => "The store cannot write to its disk, so it makes no changes; try again later",
        Outage::NotReplicated => "The store has too few replicas, so it makes no changes; try again shortly",
        Outage::Refused => "The store refuses the connection of this server; try again later",
        Outage::NotPermitted => "The store does not permit this command to the server; try again later",
        Outage::Busy => "The store is busy; try again shortly",
        Outage::ClusterDown => "A part of the store is not served right now; try again shortly",
        Outage::NewerVersion => "A later version of the server wrote this data; try again shortly",
    }
}
