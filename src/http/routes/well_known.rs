//! Public documents: the keys (RFC 7517) and the metadata (RFC 8414) for verifiers of tokens, and the OpenAPI document.

use auth_service_token::Jwk;
use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use serde::Serialize;

use crate::http::{document::Document, extract::query::NoQuery, problem_response::Problem, state::AppState};

/// The path of the metadata. The path of the issuer, if it has one, follows (RFC 8414, section 3.1).
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// RFC 7517, section 5.
#[derive(Serialize)]
struct KeysBody {
    keys: Vec<Jwk>,
}

pub(crate) async fn keys(State(app): State<AppState>, _: NoQuery, headers: HeaderMap) -> Result<Response, Problem> {
    let keys = app.auth.public_keys()?;
    Ok(Document::new(&KeysBody { keys }).answer(&headers))
}

pub(crate) async fn metadata(
    State(app): State<AppState>,
    _: NoQuery,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let metadata = app.metadata.as_ref().ok_or(Problem::NO_ISSUER)?;
    let issuer_path = uri.path().strip_prefix(METADATA).unwrap_or_default();
    metadata.answer(issuer_path, &headers).ok_or(Problem::NO_SUCH_ROUTE)
}

pub(crate) async fn openapi(State(app): State<AppState>, _: NoQuery, headers: HeaderMap) -> Response {
    app.openapi.answer(&headers)
}
