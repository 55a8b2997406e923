//! Routes of accounts: sign-up, the own profile, password and deletion.

use axum::{
    BoxError,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use hyper::body::{Body, Bytes};
use serde::Serialize;
use uuid::Uuid;

use super::{
    AppState, Done,
    error::Problem,
    extract::{Form, PresentedTokens, read_form},
    json, json_for,
};
use crate::{audit::Caller, clock::rfc3339};

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

pub(super) async fn sign_up(State(app): State<AppState>, caller: Caller, mut form: Form) -> Result<Response, Problem> {
    let (Some(email), Some(password)) = (form.email(), form.new_password("password", app.password_min_length)) else {
        return Err(form.into_problem());
    };
    app.in_time(app.auth.sign_up(&caller, email, password)).await?;
    Ok(json(StatusCode::CREATED, &Done { result: "Account successfully created" }))
}

pub(super) async fn current_user<B>(app: &AppState, headers: &HeaderMap, body: B) -> Result<Response, Problem>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let tokens = PresentedTokens::of(headers)?;
    let form = read_form(headers, body).await?;
    let by = app.authorize(&tokens).await?;
    let email = match form {
        Some(mut form) => Some(form.owners_email()?),
        None => None,
    };
    // Without a deadline of its own: one look at a store ends by itself, and this is what is asked most.
    let profile = app.auth.current_user(&by, email.as_ref()).await?;
    let data = ProfileData { email: profile.email, id: profile.id, created_at: rfc3339(profile.created_at) };
    Ok(json_for(&by, &ProfileBody { data, result: "User profile fetched successfully", status: 200 }))
}

pub(super) async fn change_password(
    State(app): State<AppState>,
    caller: Caller,
    tokens: PresentedTokens,
    mut form: Form,
) -> Result<Response, Problem> {
    let by = app.authorize(&tokens).await?;
    let current = form.password("current_password");
    let (Some(current), Some(new)) = (current, form.new_password("new_password", app.password_min_length)) else {
        return Err(form.into_problem());
    };
    app.in_time(app.auth.change_password(&caller, &by, &current, new)).await?;
    Ok(json_for(&by, &Done { result: "Password changed, all other sessions ended" }))
}

pub(super) async fn delete_user(
    State(app): State<AppState>,
    caller: Caller,
    tokens: PresentedTokens,
    mut form: Form,
) -> Result<Response, Problem> {
    let by = app.authorize(&tokens).await?;
    let Some(password) = form.password("password") else {
        return Err(form.into_problem());
    };
    app.in_time(app.auth.delete_user(&caller, &by, &password)).await?;
    Ok(json(StatusCode::OK, &Done { result: "Account deleted" }))
}
