//! JSON answers.

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;

use crate::auth::Authorized;

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// Carries the access token that replaces the one of the request.
const ACCESS_TOKEN: HeaderName = HeaderName::from_static("access-token");

/// Enough for most bodies, so that the buffer rarely grows.
const USUAL_BYTES: usize = 512;

/// The body of a success without data.
#[derive(Serialize)]
pub(super) struct Done {
    pub(super) result: &'static str,
}

/// A body with the access token that replaces the one of the request.
#[derive(Serialize)]
struct Renewed<'a, B> {
    #[serde(flatten)]
    body: &'a B,
    access_token: &'a str,
}

/// An answer with a body.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = Response::new(Body::from(json_bytes(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// The JSON of a body.
pub(super) fn json_bytes(body: &impl Serialize) -> Bytes {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    // Structs of text and numbers always serialize.
    let written = serde_json::to_writer(&mut bytes, body);
    debug_assert!(written.is_ok());
    // Boxed, because the body stays in memory while a client does not read it, and the vector may have twice the
    // capacity.
    Bytes::from(bytes.into_boxed_slice())
}

/// A success without data.
pub(super) fn done(result: &'static str) -> Response {
    json(StatusCode::OK, &Done { result })
}

/// A success of a protected route that does not end the caller's session. The answer includes the access token that the
/// request has renewed, if any.
pub(super) fn json_for(by: &Authorized, body: &impl Serialize) -> Response {
    json_for_with(StatusCode::OK, by, body)
}

/// Like [`json_for`], with another status.
pub(super) fn json_for_with(status: StatusCode, by: &Authorized, body: &impl Serialize) -> Response {
    let Some(access_token) = &by.renewed else { return json(status, body) };
    let mut response = json(status, &Renewed { body, access_token });
    // A token is base64url and dots, so it always is a header value.
    if let Ok(value) = HeaderValue::from_str(access_token) {
        response.headers_mut().insert(ACCESS_TOKEN, value);
    }
    response
}
