//! Routes of the second factor: enabling, removal, and the second step of a sign-in.

use auth_service_password::Password;
use auth_service_totp::Code;
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};

use super::tokens::signed_in;
use crate::{
    auth::Enrolment,
    http::{
        extract::{
            body::Json,
            caller::Client,
            field::{Field, FieldProblems},
            protected::Protected,
            query::NoQuery,
            user_agent::UserAgent,
        },
        problem_response::Problem,
        response::{Done, json_for, json_for_with},
        state::AppState,
    },
};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct AuthenticateTotpBody {
    mfa_token: Field,
    code: Field,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct StartBody {
    password: Field,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct ConfirmBody {
    code: Field,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct RemoveBody {
    password: Field,
    code: Field,
}

#[derive(Serialize)]
struct StartedBody {
    secret: String,
    otpauth_url: String,
    expires_in: u64,
    result: &'static str,
}

#[derive(Serialize)]
struct ConfirmedBody {
    recovery_codes: Vec<String>,
    result: &'static str,
}

impl AuthenticateTotpBody {
    fn validate(&self) -> Result<(String, Code), Problem> {
        let mut problems = FieldProblems::default();
        let mfa_token = problems.check("mfa_token", self.mfa_token.text());
        let code = problems.check("code", self.code.code());
        problems.finish(mfa_token.map(str::to_owned).zip(code))
    }
}

impl StartBody {
    fn validate(&self) -> Result<Password, Problem> {
        let mut problems = FieldProblems::default();
        let password = problems.check("password", self.password.password());
        problems.finish(password)
    }
}

impl ConfirmBody {
    fn validate(&self) -> Result<Code, Problem> {
        let mut problems = FieldProblems::default();
        let code = problems.check("code", self.code.code());
        problems.finish(code)
    }
}

impl RemoveBody {
    fn validate(&self) -> Result<(Password, Code), Problem> {
        let mut problems = FieldProblems::default();
        let password = problems.check("password", self.password.password());
        let code = problems.check("code", self.code.code());
        problems.finish(password.zip(code))
    }
}

pub(crate) async fn authenticate_totp(
    State(app): State<AppState>,
    _: NoQuery,
    Client(caller): Client,
    UserAgent(user_agent): UserAgent,
    Json(body): Json<AuthenticateTotpBody>,
) -> Result<Response, Problem> {
    let (mfa_token, code) = body.validate()?;
    let tokens =
        app.write(async move |app| app.auth.authenticate_totp(&caller, &user_agent, &mfa_token, &code).await).await?;
    Ok(signed_in(tokens))
}

pub(crate) async fn start_totp(
    State(app): State<AppState>,
    _: NoQuery,
    Protected { caller, by }: Protected,
    Json(body): Json<StartBody>,
) -> Result<Response, Problem> {
    let password = body.validate()?;
    let (by, enrolment) = app
        .write(async move |app| {
            let enrolment = app.auth.start_totp(&caller, &by, &password).await?;
            Ok((by, enrolment))
        })
        .await?;
    let Enrolment { secret, otpauth_url, expires_in } = enrolment;
    let body =
        StartedBody { secret, otpauth_url, expires_in, result: "Confirm the second factor with a code of the app" };
    Ok(json_for_with(StatusCode::CREATED, &by, &body))
}

pub(crate) async fn confirm_totp(
    State(app): State<AppState>,
    _: NoQuery,
    Protected { caller, by }: Protected,
    Json(body): Json<ConfirmBody>,
) -> Result<Response, Problem> {
    let code = body.validate()?;
    let (by, codes) = app
        .write(async move |app| {
            let codes = app.auth.confirm_totp(&caller, &by, &code).await?;
            Ok((by, codes))
        })
        .await?;
    let recovery_codes = codes.iter().map(ToString::to_string).collect();
    Ok(json_for(&by, &ConfirmedBody { recovery_codes, result: "Second factor enabled, keep the recovery codes" }))
}

pub(crate) async fn remove_totp(
    State(app): State<AppState>,
    _: NoQuery,
    Protected { caller, by }: Protected,
    Json(body): Json<RemoveBody>,
) -> Result<Response, Problem> {
    let (password, code) = body.validate()?;
    let by = app
        .write(async move |app| {
            app.auth.remove_totp(&caller, &by, &password, &code).await?;
            Ok(by)
        })
        .await?;
    Ok(json_for(&by, &Done { result: "Second factor removed" }))
}
