//! Routes of tokens: sign-in, refresh, removal.

use axum::{
    BoxError,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use hyper::body::{Body, Bytes};
use serde::Serialize;

use super::{
    AppState, Done,
    caller::{Arrival, UserAgent},
    error::Problem,
    extract::{Form, OptionalForm, PresentedTokens, read_form},
    json,
};
use crate::{audit::Caller, config::TokenRemoval};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_expires_in: Option<u64>,
    result: &'static str,
}

pub(super) async fn authenticate(
    State(app): State<AppState>,
    caller: Caller,
    UserAgent(user_agent): UserAgent,
    mut form: Form,
) -> Result<Response, Problem> {
    let (Some(email), Some(password)) = (form.email(), form.password("password")) else {
        return Err(form.into_problem());
    };
    let tokens = app.in_time(app.auth.authenticate(&caller, &user_agent, &email, &password)).await?;
    let body = SignedInBody {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        token_type: TOKEN_TYPE,
        expires_in: tokens.expires_in,
        refresh_expires_in: tokens.refresh_expires_in,
        result: "Authentication successful",
    };
    Ok(json(StatusCode::OK, &body))
}

pub(super) async fn refresh_access_token<B>(
    app: &AppState,
    arrival: Arrival,
    headers: &HeaderMap,
    body: B,
) -> Result<Response, Problem>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let caller = arrival.caller(headers, app);
    let mut form = read_form(headers, body).await?.ok_or(Problem::BODY_NOT_JSON)?;
    let Some(refresh_token) = form.text("refresh_token") else {
        return Err(form.into_problem());
    };
    // Without a deadline of its own, as in `current_user`.
    let tokens = app.auth.refresh_access_token(&caller, refresh_token).await?;
    let (refresh_token, refresh_expires_in) = tokens.refresh.unzip();
    let body = RefreshedBody {
        access_token: tokens.access_token,
        token_type: TOKEN_TYPE,
        expires_in: tokens.expires_in,
        refresh_token,
        refresh_expires_in,
        result: "Access token refreshed successfully",
    };
    Ok(json(StatusCode::OK, &body))
}

pub(super) async fn remove_access_token(
    State(app): State<AppState>,
    caller: Caller,
    tokens: PresentedTokens,
    OptionalForm(form): OptionalForm,
) -> Result<Response, Problem> {
    let email = match form {
        // Without a token in the header there is nothing that a field named access_token could contradict.
        Some(mut form) if tokens.access().is_none() => Some(form.email().ok_or_else(|| form.into_problem())?),
        Some(mut form) => Some(form.owners_email()?),
        None => None,
    };
    let done = Done { result: "Access token removed" };
    match email {
        Some(email) if app.token_removal == TokenRemoval::Open => {
            app.in_time(app.auth.remove_access_token(&caller, &email)).await?;
            Ok(json(StatusCode::OK, &done))
        }
        // An open removal asks for no token, so what is missing is the body.
        None if app.token_removal == TokenRemoval::Open && tokens.access().is_none() => Err(Form::email_required()),
        email => {
            let by = app.authorize(&tokens).await?;
            app.in_time(app.auth.remove_own_access_token(&caller, &by, email.as_ref())).await?;
            Ok(json(StatusCode::OK, &done))
        }
    }
}
