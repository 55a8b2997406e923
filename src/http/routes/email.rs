//! Routes of the address of an account: its verification and its change.

use auth_service_password::Password;
use auth_service_records::user::Email;
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Deserialize;

use crate::{
    auth::Confirmed,
    http::{
        extract::{
            body::Json,
            caller::Client,
            field::{Field, FieldProblems},
            protected::Protected,
            query::NoQuery,
        },
        problem_response::Problem,
        response::{Done, done, json_for_with},
        state::AppState,
    },
};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct VerifyEmailBody {
    token: Field,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct ChangeEmailBody {
    email: Field,
    password: Field,
}

impl VerifyEmailBody {
    fn validate(&self) -> Result<String, Problem> {
        let mut problems = FieldProblems::default();
        let token = problems.check("token", self.token.text());
        problems.finish(token.map(str::to_owned))
    }
}

impl ChangeEmailBody {
    fn validate(&self) -> Result<(Email, Password), Problem> {
        let mut problems = FieldProblems::default();
        let email = problems.check("email", self.email.email());
        let password = problems.check("password", self.password.password());
        problems.finish(email.zip(password))
    }
}

pub(crate) async fn request_email_verification(
    State(app): State<AppState>,
    _: NoQuery,
    Protected { caller, by }: Protected,
) -> Result<Response, Problem> {
    let by = app.write(async move |app| app.auth.request_email_verification(&caller, &by).await.map(|()| by)).await?;
    let result = "If the email is not verified yet, a mail is on its way";
    Ok(json_for_with(StatusCode::ACCEPTED, &by, &Done { result }))
}

/// Takes the token of a verification, and that of a change.
pub(crate) async fn verify_email(
    State(app): State<AppState>,
    _: NoQuery,
    Client(caller): Client,
    Json(body): Json<VerifyEmailBody>,
) -> Result<Response, Problem> {
    let token = body.validate()?;
    Ok(match app.write(async move |app| app.auth.verify_email(&caller, &token).await).await? {
        Confirmed::Email => done("Email verified"),
        Confirmed::NewEmail => done("Email changed, all sessions ended"),
    })
}

/// The answer is the same whether or not the new address has an account.
pub(crate) async fn change_email(
    State(app): State<AppState>,
    _: NoQuery,
    Protected { caller, by }: Protected,
    Json(body): Json<ChangeEmailBody>,
) -> Result<Response, Problem> {
    let (email, password) = body.validate()?;
    let by =
        app.write(async move |app| app.auth.change_email(&caller, &by, &email, &password).await.map(|()| by)).await?;
    let result = "A mail is on its way to the new email, which replaces the current email when the link is opened";
    Ok(json_for_with(StatusCode::ACCEPTED, &by, &Done { result }))
}
