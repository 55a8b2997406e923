//! A request's body, read within its limits, and parsed as JSON.

use std::time::Duration;

use axum::{
    body::{Body as AxumBody, Bytes},
    extract::{FromRequest, OptionalFromRequest, Request},
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::http::problem_response::Problem;

/// Larger bodies are refused before they are parsed (OWASP ASVS 5.0, clause 2.4.1).
const MAX_BYTES: usize = 16 * 1024;
/// A client that takes longer to send its body gets a 408.
const TIMEOUT: Duration = Duration::from_secs(5);
/// RFC 8259, section 2.
const JSON_BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// A body that is one JSON object. `T` has a [`Field`](super::field::Field) for each field that the route knows, and
/// ignores all others. `Option<Json<T>>` is for a route that may be called without a body.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read(request).await?.ok_or(Problem::BODY_NOT_JSON)
    }
}

impl<S: Sync, T: DeserializeOwned> OptionalFromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, Problem> {
        read(request).await
    }
}

/// `None` without a body.
async fn read<T: DeserializeOwned>(request: Request) -> Result<Option<Json<T>>, Problem> {
    match read_bytes(request, "application/json", Problem::NOT_JSON).await? {
        None => Ok(None),
        Some(bytes) => parse(&bytes).map(|body| Some(Json(body))),
    }
}

/// The bytes of a body. `None` without a body. A body of another media type is the problem `other`.
pub(super) async fn read_bytes(request: Request, media_type: &str, other: Problem) -> Result<Option<Bytes>, Problem> {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok(None);
    }
    if body.size_hint().lower() > MAX_BYTES as u64 {
        return Err(Problem::BODY_TOO_LARGE);
    }
    if !has_type(&parts.headers, media_type) {
        return Err(other);
    }
    let bytes = collect(body).await?;
    Ok((!bytes.is_empty()).then_some(bytes))
}

/// Whether exactly one header names the media type, in any case and with any parameters.
fn has_type(headers: &HeaderMap, media_type: &str) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let given = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    given.trim().eq_ignore_ascii_case(media_type)
}

async fn collect(body: AxumBody) -> Result<Bytes, Problem> {
    match timeout(TIMEOUT, Limited::new(body, MAX_BYTES).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::BODY_TOO_LARGE),
        Ok(Err(_)) => Err(Problem::BODY_BROKEN),
        Err(_) => Err(Problem::BODY_TOO_SLOW),
    }
}

/// No message of the parser leaves this function, because it may quote the body, and the body may contain a password.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = str::from_utf8(bytes).map_err(|_| Problem::BODY_NOT_JSON)?;
    // serde accepts an array for a struct.
    if !text.trim_start_matches(JSON_BLANKS).starts_with('{') {
        return Err(Problem::BODY_NOT_JSON);
    }
    // The parser checks only the grammar of the fields that `T` does not have, and needs no recursion for that. So they
    // may hold anything that RFC 8259 allows: any depth, any number, any escape.
    serde_json::from_str(text).map_err(|_| Problem::BODY_NOT_JSON)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::http::extract::field::Field;

    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Login {
        email: Field,
        password: Field,
    }

    #[test]
    fn one_object_parses_whatever_its_unknown_fields_hold() {
        let deep = |open: &str, close: &str| format!(r#"{{"x": {}1{}}}"#, open.repeat(2000), close.repeat(2000));
        for body in [
            &deep("[", "]"),
            &deep(r#"{"x":"#, "}"),
            r#"{"x": 1e999, "y": -1E+999999999999, "z": 123456789012345678901234567890}"#,
            r#"{"x": "\ud800", "y": ["\udc00\ud800"], "z": {"\ud800": 1}, "z": "\u0000"}"#,
            "{}",
            r#" {"email": "a@b.c", "password": "x"}"#,
            r#"{"email": 1, "password": null}"#,
            r#"{"password": {"x": [1, {"y": null}]}, "email": [[]]}"#,
            r#"{"x": {"email": 1}, "y": [{"x": 1.5e3}], "z": true, "password": "x"}"#,
        ] {
            assert!(parse::<Login>(body.as_bytes()).is_ok(), "{body}");
        }
        let body: Login = parse(br#"{"\u0065mail": "a@b.c", "password": 7}"#).ok().unwrap();
        assert_eq!(body.email.text().unwrap(), "a@b.c");
        assert!(body.password.text().is_err());
    }

    #[test]
    fn anything_else_is_refused() {
        let deep = format!(r#"{{"x": {}}}"#, "[".repeat(2000));
        for body in [
            "",
            " ",
            "null",
            "7",
            r#""text""#,
            "[]",
            r#"["a@b.c", "x"]"#,
            "{",
            "{} {}",
            "{}\0",
            "\u{feff}{}",
            r#"{"email": "a", "email": "b"}"#,
            r#"{"email": "a", "\u0065mail": 1}"#,
            r#"{"email": "\ud800"}"#,
            r#"{"email": 1e999}"#,
            r#"{"\ud800": 1}"#,
            r#"{"x": "\ud80"}"#,
            r#"{"x": "\x41"}"#,
            r#"{"x": 01}"#,
            r#"{"x": 1e}"#,
            r#"{"x": NaN}"#,
            r#"{"x": [1,]}"#,
            r#"{"x": 1,}"#,
            &deep,
        ] {
            assert!(parse::<Login>(body.as_bytes()).is_err(), "{body}");
        }
        assert!(parse::<Login>(b"{\"x\": \"\xff\"}").is_err());
    }
}
