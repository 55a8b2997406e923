//! The feed of revocations, for verifiers elsewhere.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use crate::{
    auth::Revocations,
    http::{
        document::is_tag_named,
        extract::{field::Field, query::Query, resource_server::ResourceServer},
        problem_response::Problem,
        response::json,
        state::AppState,
    },
};

/// Carries `age_ms`, because an answer 304 has no body.
const AGE: HeaderName = HeaderName::from_static("revocations-age-ms");

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RevocationsQuery {
    after: Field,
}

#[derive(Serialize)]
struct RevocationsBody<'a> {
    cursor: &'a str,
    age_ms: u64,
    reset: bool,
    revoked: &'a [String],
}

pub(crate) async fn revocations(
    State(app): State<AppState>,
    Query(query): Query<RevocationsQuery>,
    _: ResourceServer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = query.after.optional_text().map_err(|_| Problem::QUERY)?;
    Ok(answer(&app.auth.revocations(after)?, &headers))
}

fn answer(revocations: &Revocations, headers: &HeaderMap) -> Response {
    let Revocations { cursor, age_ms, reset, ref revoked, settled } = *revocations;
    let cursor = cursor.to_string();
    // A cursor consists of digits and hyphens, so the fallback is never used.
    let tag = HeaderValue::from_str(&format!("\"{cursor}\"")).unwrap_or(HeaderValue::from_static("\"\""));
    let mut response = if settled && is_tag_named(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json(StatusCode::OK, &RevocationsBody { cursor: &cursor, age_ms, reset, revoked })
    };
    response.headers_mut().insert(header::ETAG, tag);
    response.headers_mut().insert(AGE, age_ms.into());
    response
}
