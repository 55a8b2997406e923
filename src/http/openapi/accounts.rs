//! Operations of accounts.

use axum::http::StatusCode;
use serde_json::json;

use super::{
    answers::shows_email_verified,
    operation::Operation,
    parts::{EMAIL, PASSWORD, USER_ID},
    problems::{general, of_json, of_protected, of_writes, throttled},
    success::Success,
};
use crate::{
    config::Config,
    http::{
        extract::field::{Field, FieldProblem},
        problem_response::Problem,
    },
};

pub(super) const TAG: &str = "Accounts";
pub(super) const JSON: &str = "application/json";

pub(super) fn operations(config: &Config) -> Vec<Operation> {
    vec![sign_up(config), current_user(config), change_password(config), delete_user()]
}

fn sign_up(config: &Config) -> Operation {
    let created =
        Success::done("The account was created.", "Account successfully created").status(StatusCode::CREATED).link(
            "authenticate",
            "The same email and password sign in.",
            json!({"requestBody": {"email": "$request.body#/email", "password": "$request.body#/password"}}),
        );
    Operation::new(TAG, "post", "/signup", "sign_up")
        .described("Create an account", "Each email can have one account. The case of ASCII letters does not matter.")
        .body(JSON, "SignUp", true, &json!({"email": EMAIL, "password": PASSWORD}))
        .answers(created)
        .fails(general())
        .fails(of_json([("email", wrong_email()), ("password", wrong_new_password(config))]))
        .fails(of_writes())
        .fails([Problem::EMAIL_TAKEN, Problem::HASHING_UNAVAILABLE, throttled()])
}

fn current_user(config: &Config) -> Operation {
    let mut data = json!({"email": EMAIL, "id": USER_ID, "created_at": "2026-11-29T09:30:00Z"});
    if shows_email_verified(config) {
        data["email_verified"] = true.into();
    }
    let example = json!({"data": data, "result": "User profile fetched successfully", "status": 200});
    let profile = Success::json("The profile of the owner of the access token.", "Profile", example);
    Operation::new(TAG, "get", "/user", "current_user")
        .described(
            "Get your profile",
            "An access token opens only the profile of its owner. A body is not necessary. Clients of the old service \
             send the email of the owner.",
        )
        .protected()
        .body(JSON, "Owner", false, &json!({"email": EMAIL}))
        .answers(profile.shared_header("Access-Token"))
        .fails(general())
        .fails(of_json([("email", wrong_email())]))
        .fails(of_protected())
        .fails([Problem::USER_NOT_FOUND])
}

fn change_password(config: &Config) -> Operation {
    let body = json!({"current_password": PASSWORD, "new_password": "a longer horse battery staple"});
    let wrong = [("current_password", wrong_password()), ("new_password", wrong_new_password(config))];
    Operation::new(TAG, "put", "/user/password", "change_password")
        .described(
            "Change your password",
            "Ends all other sessions of the user. If the answer is lost, send the same request again, in the same \
             session, within 15 minutes.",
        )
        .protected()
        .body(JSON, "PasswordChange", true, &body)
        .answers(Success::done_with_token(
            "The password is changed. The new access token replaces that of the request, and expires at the same time.",
            "Password changed, all other sessions ended",
        ))
        .fails(general())
        .fails(of_json(wrong))
        .fails(of_protected())
        .fails([Problem::WRONG_PASSWORD, Problem::HASHING_UNAVAILABLE, throttled()])
}

fn delete_user() -> Operation {
    Operation::new(TAG, "delete", "/user", "delete_user")
        .described("Delete your account", "Deletes the account, all its tokens, and everything else about the user.")
        .protected()
        .body(JSON, "Confirmation", true, &json!({"password": PASSWORD}))
        .answers(Success::done("The account is deleted.", "Account deleted"))
        .fails(general())
        .fails(of_json([("password", wrong_password())]))
        .fails(of_protected())
        .fails([Problem::WRONG_PASSWORD, Problem::HASHING_UNAVAILABLE, throttled()])
}

/// The message for a missing password.
pub(super) fn wrong_password() -> FieldProblem {
    Field::Missing.password().err().unwrap_or_default()
}

/// The message for a text that is no email address.
pub(super) fn wrong_email() -> FieldProblem {
    Field::Text("ada".to_owned()).email().err().unwrap_or_default()
}

/// The message for a new password that is too short.
pub(super) fn wrong_new_password(config: &Config) -> FieldProblem {
    Field::Text(String::new()).new_password(config.passwords.min_length).err().unwrap_or_default()
}
