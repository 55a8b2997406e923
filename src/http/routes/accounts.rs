//! Routes of accounts: sign-up, the caller's own profile, password and deletion.

use auth_service_password::Password;
use auth_service_records::{clock::rfc3339, user::Email};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::owner::OwnerBody;
use crate::http::{
    extract::{
        body::Json,
        caller::Client,
        field::{Field, FieldProblems},
        protected::Protected,
        query::NoQuery,
    },
    problem_response::Problem,
    response::{Done, done, json, json_for},
    state::AppState,
};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct SignUpBody {
    email: Field,
    password: Field,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct ChangePasswordBody {
    current_password: Field,
    new_password: Field,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct DeleteUserBody {
    password: Field,
}

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
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    /// Absent without a second factor.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    totp_enabled: bool,
}

impl SignUpBody {
    fn validate(&self, min_length: usize) -> Result<(Email, Password), Problem> {
        let mut problems = FieldProblems::default();
        let email = problems.check("email", self.email.email());
        let password = problems.check("password", self.password.new_password(min_length));
        problems.finish(email.zip(password))
    }
}

impl ChangePasswordBody {
    fn validate(&self, min_length: usize) -> Result<(Password, Password), Problem> {
        let mut problems = FieldProblems::default();
        let current = problems.check("current_password", self.current_password.password());
        let new = problems.check("new_password", self.new_password.new_password(min_length));
        problems.finish(current.zip(new))
    }
}

impl DeleteUserBody {
    fn validate(&self) -> Result<Password, Problem> {
        let mut problems = FieldProblems::default();
        let password = problems.check("password", self.password.password());
        problems.finish(password)
    }
}

pub(crate) async fn sign_up(
    State(app): State<AppState>,
    _: NoQuery,
    Client(caller): Client,
    Json(body): Json<SignUpBody>,
) -> Result<Response, Problem> {
    let (email, password) = body.validate(app.password_min_length)?;
    app.write(async move |app| app.auth.sign_up(&caller, email, password).await).await?;
    Ok(json(StatusCode::CREATED, &Done { result: "Account successfully created" }))
}

pub(crate) async fn current_user(
    State(app): State<AppState>,
    _: NoQuery,
    Protected { by, .. }: Protected,
    body: Option<Json<OwnerBody>>,
) -> Result<Response, Problem> {
    let email = body.map(|Json(body)| body.email_beside_a_token()).transpose()?;
    let profile = app.read(|| app.auth.current_user(&by, email.as_ref())).await?;
    let data = ProfileData {
        email: profile.email,
        id: profile.id,
        created_at: rfc3339(profile.created_at),
        email_verified: app.auth.shows_email_verified().then_some(profile.email_verified),
        totp_enabled: profile.totp_enabled,
    };
    Ok(json_for(&by, &ProfileBody { data, result: "User profile fetched successfully", status: 200 }))
}

pub(crate) async fn change_password(
    State(app): State<AppState>,
    _: NoQuery,
    Protected { caller, by }: Protected,
    Json(body): Json<ChangePasswordBody>,
) -> Result<Response, Problem> {
    let (current, new) = body.validate(app.password_min_length)?;
    let by = app.write(async move |app| app.auth.change_password(&caller, by, &current, new).await).await?;
    Ok(json_for(&by, &Done { result: "Password changed, all other sessions ended" }))
}

pub(crate) async fn delete_user(
    State(app): State<AppState>,
    _: NoQuery,
    Protected { caller, by }: Protected,
    Json(body): Json<DeleteUserBody>,
) -> Result<Response, Problem> {
    let password = body.validate()?;
    app.write(async move |app| app.auth.delete_user(&caller, &by, &password).await).await?;
    Ok(done("Account deleted"))
}
