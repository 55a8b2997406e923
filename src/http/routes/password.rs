//! Routes of a forgotten password.

use auth_service_password::Password;
use auth_service_records::user::Email;
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Deserialize;

use crate::http::{
    extract::{
        body::Json,
        caller::Client,
        field::{Field, FieldProblems},
        query::NoQuery,
    },
    problem_response::Problem,
    response::{Done, done, json},
    state::AppState,
};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct ForgotPasswordBody {
    email: Field,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct ResetPasswordBody {
    token: Field,
    new_password: Field,
}

impl ForgotPasswordBody {
    fn validate(&self) -> Result<Email, Problem> {
        let mut problems = FieldProblems::default();
        let email = problems.check("email", self.email.email());
        problems.finish(email)
    }
}

impl ResetPasswordBody {
    fn validate(&self, min_length: usize) -> Result<(String, Password), Problem> {
        let mut problems = FieldProblems::default();
        let token = problems.check("token", self.token.text());
        let new = problems.check("new_password", self.new_password.new_password(min_length));
        problems.finish(token.map(str::to_owned).zip(new))
    }
}

/// The answer is the same whether or not there is an account.
pub(crate) async fn forgot_password(
    State(app): State<AppState>,
    _: NoQuery,
    Client(caller): Client,
    Json(body): Json<ForgotPasswordBody>,
) -> Result<Response, Problem> {
    let email = body.validate()?;
    app.write(async move |app| app.auth.forgot_password(&caller, &email).await).await?;
    Ok(json(StatusCode::ACCEPTED, &Done { result: "If there is an account with this email, a mail is on its way" }))
}

pub(crate) async fn reset_password(
    State(app): State<AppState>,
    _: NoQuery,
    Client(caller): Client,
    Json(body): Json<ResetPasswordBody>,
) -> Result<Response, Problem> {
    let (token, new) = body.validate(app.password_min_length)?;
    app.write(async move |app| app.auth.reset_password(&caller, &token, new).await).await?;
    Ok(done("Password reset, all sessions ended"))
}
