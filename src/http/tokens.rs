//! Routes of tokens: sign-in, refresh, removal.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;

use super::{
    AppState, Done,
    error::Problem,
    extract::{BearerToken, Form, OptionalForm},
    json,
};
use crate::{config::TokenRemoval, error::Error};

/// RFC 6749, section 5.1.
const TOKEN_TYPE: &str = "Bearer";

#[derive(Serialize)]
struct SignedInBody {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    expires_in: u64,
    refresh_expires_in: u64,
    result: &'static str,
}

#[derive(Serialize)]
struct RefreshedBody {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    result: &'static str,
}

pub(super) async fn authenticate(State(app): State<AppState>, mut form: Form) -> Result<Response, Problem> {
    let (Some(email), Some(password)) = (form.email(), form.password()) else {
        return Err(form.into_problem());
    };
    let tokens = app.in_time(app.auth.authenticate(&email, &password)).await?;
    let lifetimes = app.auth.lifetimes();
    let body = SignedInBody {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        token_type: TOKEN_TYPE,
        expires_in: lifetimes.access_seconds,
        refresh_expires_in: lifetimes.refresh_seconds,
        result: "Authentication successful",
    };
    Ok(json(StatusCode::OK, &body))
}

pub(super) async fn refresh_access_token(State(app): State<AppState>, mut form: Form) -> Result<Response, Problem> {
    let Some(refresh_token) = form.text("refresh_token") else {
        return Err(form.into_problem());
    };
    let access_token = app.in_time(app.auth.refresh_access_token(refresh_token)).await?;
    let body = RefreshedBody {
        access_token,
        token_type: TOKEN_TYPE,
        expires_in: app.auth.lifetimes().access_seconds,
        result: "Access token refreshed successfully",
    };
    Ok(json(StatusCode::OK, &body))
}

pub(super) async fn remove_access_token(
    State(app): State<AppState>,
    BearerToken(token): BearerToken,
    OptionalForm(form): OptionalForm,
) -> Result<Response, Problem> {
    let email = match form {
        Some(form) if token.is_some() && form.has("access_token") => return Err(Problem::TWO_TOKENS),
        Some(mut form) => Some(form.email().ok_or_else(|| form.into_problem())?),
        None => None,
    };
    match (email, token) {
        (Some(email), _) if app.token_removal == TokenRemoval::Open => {
            app.in_time(app.auth.remove_access_token(&email)).await?;
        }
        (email, Some(token)) => {
            app.in_time(app.auth.remove_own_access_token(&token, email.as_ref())).await?;
        }
        // An open removal asks for no token, so what is missing is the body.
        (None, None) if app.token_removal == TokenRemoval::Open => return Err(Problem::email_required()),
        (_, None) => return Err(Error::TokenMissing.into()),
    }
    Ok(json(StatusCode::OK, &Done { result: "Access token removed" }))
}
