//! Routes of tokens: sign-in, refresh, removal.

use auth_service_password::Password;
use auth_service_records::user::Email;
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};

use super::owner::OwnerBody;
use crate::{
    audit::Caller,
    auth::{Authorized, SignedIn},
    http::{
        extract::{
            body::Json,
            caller::Client,
            field::{Field, FieldProblems},
            presented_tokens::PresentedTokens,
            protected::{Protected, authorize},
            query::NoQuery,
            user_agent::UserAgent,
        },
        problem_response::Problem,
        response::{done, json},
        state::AppState,
    },
};

/// RFC 6749, section 5.1.
pub(super) const TOKEN_TYPE: &str = "Bearer";

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct AuthenticateBody {
    email: Field,
    password: Field,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct RefreshBody {
    refresh_token: Field,
}

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

impl AuthenticateBody {
    fn validate(&self) -> Result<(Email, Password), Problem> {
        let mut problems = FieldProblems::default();
        let email = problems.check("email", self.email.email());
        let password = problems.check("password", self.password.password());
        problems.finish(email.zip(password))
    }
}

impl RefreshBody {
    fn validate(&self) -> Result<String, Problem> {
        let mut problems = FieldProblems::default();
        let refresh_token = problems.check("refresh_token", self.refresh_token.text());
        problems.finish(refresh_token.map(str::to_owned))
    }
}

pub(crate) async fn authenticate(
    State(app): State<AppState>,
    _: NoQuery,
    Client(caller): Client,
    UserAgent(user_agent): UserAgent,
    Json(body): Json<AuthenticateBody>,
) -> Result<Response, Problem> {
    let (email, password) = body.validate()?;
    let tokens =
        app.write(async move |app| app.auth.authenticate(&caller, &user_agent, &email, &password).await).await?;
    Ok(signed_in(tokens))
}

/// The answer to a sign-in.
pub(super) fn signed_in(tokens: SignedIn) -> Response {
    let body = SignedInBody {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        token_type: TOKEN_TYPE,
        expires_in: tokens.expires_in,
        refresh_expires_in: tokens.refresh_expires_in,
        result: "Authentication successful",
    };
    json(StatusCode::OK, &body)
}

pub(crate) async fn refresh_access_token(
    State(app): State<AppState>,
    _: NoQuery,
    Client(caller): Client,
    Json(body): Json<RefreshBody>,
) -> Result<Response, Problem> {
    let refresh_token = body.validate()?;
    let tokens = app.write(async move |app| app.auth.refresh_access_token(&caller, &refresh_token).await).await?;
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

/// `TOKEN_REMOVAL=open`: an email in the body is enough. Without a body, the access token names the user.
pub(crate) async fn remove_access_token(
    State(app): State<AppState>,
    _: NoQuery,
    Client(caller): Client,
    tokens: PresentedTokens,
    body: Option<Json<OwnerBody>>,
) -> Result<Response, Problem> {
    let has_token = tokens.access().is_some();
    let Some(Json(body)) = body else {
        if !has_token {
            // This mode requires no token, so the answer names the missing email.
            OwnerBody::default().email()?;
        }
        let by = authorize(&app, &caller, &tokens).await?;
        return remove_own(&app, caller, by, None).await;
    };
    let email = if has_token { body.email_beside_a_token()? } else { body.email()? };
    app.write(async move |app| app.auth.remove_access_token(&caller, &email).await).await?;
    Ok(removed())
}

/// `TOKEN_REMOVAL=owner`: the access token must be the user's own.
pub(crate) async fn remove_own_access_token(
    State(app): State<AppState>,
    _: NoQuery,
    Protected { caller, by }: Protected,
    body: Option<Json<OwnerBody>>,
) -> Result<Response, Problem> {
    let email = body.map(|Json(body)| body.email_beside_a_token()).transpose()?;
    remove_own(&app, caller, by, email).await
}

async fn remove_own(app: &AppState, caller: Caller, by: Authorized, email: Option<Email>) -> Result<Response, Problem> {
    app.write(async move |app| app.auth.remove_own_access_token(&caller, &by, email.as_ref()).await).await?;
    Ok(removed())
}

fn removed() -> Response {
    done("Access token removed")
}
