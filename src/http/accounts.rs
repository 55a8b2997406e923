//! Routes of accounts: sign-up and the own profile.

use std::time::{Duration, UNIX_EPOCH};

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use uuid::Uuid;

use super::{
    AppState, Done,
    error::Problem,
    extract::{BearerToken, Form, OptionalForm},
    json,
};
use crate::error::Error;

#[derive(Serialize)]
struct ProfileBody {
    data: ProfileData,
    result: &'static str,
    status: u16,
}

#[derive(Serialize)]
struct ProfileData {
    email: String,
    id: Uuid,
    created_at: String,
}

pub(super) async fn sign_up(State(app): State<AppState>, mut form: Form) -> Result<Response, Problem> {
    let (Some(email), Some(password)) = (form.email(), form.new_password(app.password_min_length)) else {
        return Err(form.into_problem());
    };
    app.in_time(app.auth.sign_up(email, password)).await?;
    Ok(json(StatusCode::CREATED, &Done { result: "Account successfully created" }))
}

pub(super) async fn current_user(
    State(app): State<AppState>,
    BearerToken(token): BearerToken,
    OptionalForm(form): OptionalForm,
) -> Result<Response, Problem> {
    let token = token.ok_or(Error::TokenMissing)?;
    let email = match form {
        Some(form) if form.has("access_token") => return Err(Problem::TWO_TOKENS),
        Some(mut form) => Some(form.email().ok_or_else(|| form.into_problem())?),
        None => None,
    };
    let profile = app.in_time(app.auth.current_user(&token, email.as_ref())).await?;
    let created_at = UNIX_EPOCH + Duration::from_secs(profile.created_at);
    let created_at = humantime::format_rfc3339_seconds(created_at).to_string();
    let data = ProfileData { email: profile.email, id: profile.id, created_at };
    Ok(json(StatusCode::OK, &ProfileBody { data, result: "User profile fetched successfully", status: 200 }))
}
