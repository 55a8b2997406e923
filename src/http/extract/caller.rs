//! The client that sends a request.

use std::net::IpAddr;

use auth_service_records::error::Error;
use axum::{extract::FromRequestParts, http::request::Parts};

use crate::{
    audit::Caller,
    http::{problem_response::Problem, request_id::RequestId, state::AppState},
    trace::TraceContext,
};

/// The service adds this to every request.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// The address at the other end of the connection.
    pub(crate) peer: IpAddr,
    pub(crate) id: RequestId,
    pub(crate) trace: Option<TraceContext>,
}

/// The client that sends a request.
pub(crate) struct Client(pub(crate) Caller);

impl FromRequestParts<AppState> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let Some(Arrival { peer, id, trace }) = parts.extensions.get() else {
            // This never happens, because the service adds the value to every request.
            return Err(Error::Internal("a request has no arrival".to_owned()).into());
        };
        let address = app.proxies.client_address(*peer, &parts.headers);
        Ok(Self(Caller { address, request_id: id.as_str().to_owned(), trace: *trace }))
    }
}
