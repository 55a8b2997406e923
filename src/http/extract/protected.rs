//! The caller of a protected route, whose access token is verified, and renewed if it has expired.

use auth_service_records::{error::Error, refusal::Refusal};
use axum::{extract::FromRequestParts, http::request::Parts};

use super::{caller::Client, presented_tokens::PresentedTokens};
use crate::{
    audit::Caller,
    auth::{Authorization, Authorized},
    http::{problem_response::Problem, state::AppState},
};

/// A caller with a genuine access token.
pub(crate) struct Protected {
    pub(crate) caller: Caller,
    pub(crate) by: Authorized,
}

impl FromRequestParts<AppState> for Protected {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let tokens = PresentedTokens::of(&parts.headers)?;
        let Client(caller) = Client::from_request_parts(parts, app).await?;
        let by = authorize(app, &caller, &tokens).await?;
        Ok(Self { caller, by })
    }
}

/// Verifies the access token. Renews an expired access token if the request has a refresh token.
///
/// # Errors
/// Those of [`Auth::authorize`](crate::auth::Auth::authorize) and [`Auth::renew`](crate::auth::Auth::renew), as
/// problems.
pub(crate) async fn authorize(
    app: &AppState,
    caller: &Caller,
    tokens: &PresentedTokens,
) -> Result<Authorized, Problem> {
    let access_token = tokens.access().ok_or(Error::TokenMissing)?;
    let refresh_token = tokens.refresh();
    match app.auth.authorize(access_token, refresh_token.is_some())? {
        Authorization::Granted(by) => Ok(by),
        Authorization::Expired(claims) => {
            let refresh_token = refresh_token.ok_or(Error::TokenExpired(Refusal::EXPIRED))?.to_owned();
            let caller = caller.clone();
            // Boxed, because the large future would otherwise be a part of the future of every request.
            Box::pin(app.write(async move |app| app.auth.renew(&caller, &claims, &refresh_token).await)).await
        }
    }
}
