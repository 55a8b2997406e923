//! The route that a proxy asks before it passes a request on (`auth_request` of nginx, `ext_authz` of Envoy, and so on).

use auth_service_records::error::Error;
use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};

use crate::http::{extract::presented_tokens::AccessToken, problem_response::Problem, state::AppState};

const USER_ID: HeaderName = HeaderName::from_static("x-user-id");
const USER_EMAIL: HeaderName = HeaderName::from_static("x-user-email");
const SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");

/// Says who sends a request. The route reads only the `Authorization` header, because a proxy repeats the method, the
/// path, the query and the headers of a request that is not for this server, such as `?access_token=` and the headers of
/// a body.
///
/// A success is exactly 200, because Envoy takes every other status as a refusal. The answer always has all three
/// headers, because a proxy passes on what the client has sent in place of a missing one.
pub(crate) async fn forward_auth(
    State(app): State<AppState>,
    AccessToken(token): AccessToken,
) -> Result<Response, Problem> {
    let identity = app.read(|| app.auth.forward_auth(token.as_deref())).await?;
    let headers = [
        (USER_ID, header_value(&identity.user_id.to_string())?),
        (USER_EMAIL, header_value(&identity.email)?),
        (SESSION_ID, header_value(&identity.session_id.to_string())?),
    ];
    Ok((StatusCode::OK, headers).into_response())
}

/// Never fails, because the texts of an identity are visible ASCII.
fn header_value(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text).map_err(|_| Error::Internal("an identity is no header value".to_owned()).into())
}
