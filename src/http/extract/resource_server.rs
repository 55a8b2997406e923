//! A caller that is a resource server.

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{header, request::Parts},
};

use super::caller::Client;
use crate::http::{problem_response::Problem, state::AppState};

/// A caller with the credentials of a resource server. `Option<ResourceServer>` is for a route that may be called without
/// credentials: `None` only if the request has no `Authorization` header.
pub(crate) struct ResourceServer;

impl OptionalFromRequestParts<AppState> for ResourceServer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Option<Self>, Problem> {
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        let authorization = match (values.next(), values.next()) {
            (_, Some(_)) => return Err(Problem::TWO_CREDENTIALS),
            (None, None) => return Ok(None),
            (Some(value), None) => value,
        };
        if app.resource_servers.accepts(authorization) {
            return Ok(Some(Self));
        }
        let Client(caller) = Client::from_request_parts(parts, app).await?;
        app.resource_servers.warn(caller.address);
        Err(Problem::INVALID_CLIENT)
    }
}

impl FromRequestParts<AppState> for ResourceServer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        <Self as OptionalFromRequestParts<_>>::from_request_parts(parts, app).await?.ok_or(Problem::INVALID_CLIENT)
    }
}
