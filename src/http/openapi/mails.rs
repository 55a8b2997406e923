//! Operations by mail: forgotten password, verification and change of an address.

use axum::http::StatusCode;
use serde_json::json;

use super::{
    accounts::{JSON, wrong_email, wrong_new_password, wrong_password},
    answers::{CHANGE, VERIFICATION},
    operation::Operation,
    parts::{EMAIL, PASSWORD, RESET_TOKEN, VERIFY_TOKEN},
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

pub(super) const TAG: &str = "Mail";
const NEW_EMAIL: &str = "ada@example.org";

pub(super) fn operations(config: &Config) -> Vec<Operation> {
    let all = [forgot_password(), reset_password(config), request_email_verification(), verify_email(), change_email()];
    all.map(|(operation, successes)| {
        if config.mail.is_none() {
            return operation.fails([Problem::MAIL_NOT_CONFIGURED]);
        }
        successes.into_iter().fold(operation, Operation::answers)
    })
    .into()
}

/// An operation, and its answers if the server sends mail.
type Described = (Operation, Vec<Success>);

/// An answer to the owner of an access token.
fn accepted(description: &'static str, schema: &str, result: &str) -> Vec<Success> {
    let accepted = Success::json(description, schema, json!({"result": result})).status(StatusCode::ACCEPTED);
    vec![accepted.shared_header("Access-Token")]
}

fn forgot_password() -> Described {
    let operation = Operation::new(TAG, "post", "/password/forgot", "forgot_password")
        .described(
            "Ask for a link that resets a password",
            "The server sends the link to the email of the account. The link is valid for an hour, and a newer link \
             replaces it. The answer is the same whether or not there is an account. A mailbox gets at most five of \
             these links an hour.",
        )
        .body(JSON, "ForgottenPassword", true, &json!({"email": EMAIL}))
        .fails(general())
        .fails(of_json([("email", wrong_email())]))
        .fails(of_writes())
        .fails([throttled()]);
    let result = "If there is an account with this email, a mail is on its way";
    let accepted = Success::done("The server sends a link, if there is an account.", result);
    (operation, vec![accepted.status(StatusCode::ACCEPTED)])
}

fn reset_password(config: &Config) -> Described {
    let operation = Operation::new(TAG, "post", "/password/reset", "reset_password")
        .described(
            "Reset a password",
            "Spends the token of the link, ends all sessions of the user, and verifies the email. If the answer is \
             lost, try to sign in.",
        )
        .body(JSON, "PasswordReset", true, &json!({"token": RESET_TOKEN, "new_password": PASSWORD}))
        .fails(general())
        .fails(of_json([("token", wrong_token()), ("new_password", wrong_new_password(config))]))
        .fails(of_writes())
        .fails([Problem::INVALID_MAIL_TOKEN, Problem::HASHING_UNAVAILABLE, throttled()]);
    (operation, vec![Success::done("The new password is in force.", "Password reset, all sessions ended")])
}

fn request_email_verification() -> Described {
    let operation = Operation::new(TAG, "post", "/email/verification", "request_email_verification")
        .described(
            "Ask for a link that verifies your email",
            "The link is valid for a day, and a newer link replaces it. The server sends nothing if the email is \
             verified, or if the mailbox has received five of these links in the last hour.",
        )
        .protected()
        .fails(general())
        .fails(of_protected())
        .fails([throttled()]);
    (
        operation,
        accepted("The server sends a link, if the email is not verified.", "VerificationRequested", VERIFICATION),
    )
}

fn verify_email() -> Described {
    let operation = Operation::new(TAG, "post", "/email/verify", "verify_email")
        .described(
            "Confirm an email",
            "Takes the token of a link that verifies an email, or that changes it. A change ends all sessions of the \
             user, whose id stays the same.",
        )
        .body(JSON, "MailToken", true, &json!({"token": VERIFY_TOKEN}))
        .fails(general())
        .fails(of_json([("token", wrong_token())]))
        .fails(of_writes())
        .fails([Problem::INVALID_MAIL_TOKEN, Problem::EMAIL_TAKEN, throttled()]);
    let confirmed = Success::json("The email is confirmed.", "Confirmed", json!({"result": "Email verified"}));
    (operation, vec![confirmed])
}

fn change_email() -> Described {
    let operation = Operation::new(TAG, "put", "/user/email", "change_email")
        .described(
            "Change your email",
            "The server sends a link to the new email, and a notice to the current one. The current email stays in \
             force until the link is opened, within an hour. The answer is the same whether or not the new email has \
             an account.",
        )
        .protected()
        .body(JSON, "EmailChange", true, &json!({"email": NEW_EMAIL, "password": PASSWORD}))
        .fails(general())
        .fails(of_json([("email", wrong_email()), ("password", wrong_password())]))
        .fails(of_protected())
        .fails([Problem::WRONG_PASSWORD, Problem::HASHING_UNAVAILABLE, throttled()]);
    (operation, accepted("The server sends a link to the new email.", "EmailChangeRequested", CHANGE))
}

/// The message for a missing token.
fn wrong_token() -> FieldProblem {
    Field::Missing.text().err().unwrap_or_default()
}
