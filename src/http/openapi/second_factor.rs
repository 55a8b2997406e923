//! Operations of the second factor.

use axum::http::StatusCode;
use serde_json::json;

use super::{
    accounts::{JSON, wrong_password},
    operation::Operation,
    parts::{ACCESS_TOKEN, CODE, MFA_TOKEN, PASSWORD, RECOVERY_CODE, REFRESH_TOKEN, TOTP_SECRET},
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

pub(super) const TAG: &str = "Second factor";

pub(super) fn operations(config: &Config) -> Vec<Operation> {
    vec![authenticate_totp(config), start_totp(), confirm_totp(), remove_totp()]
}

fn authenticate_totp(config: &Config) -> Operation {
    let longest = config.session_max_age_seconds.unwrap_or(u64::MAX);
    let example = json!({
        "access_token": ACCESS_TOKEN,
        "refresh_token": REFRESH_TOKEN,
        "token_type": "Bearer",
        "expires_in": config.access_seconds.min(longest),
        "refresh_expires_in": config.refresh_seconds.min(longest),
        "result": "Authentication successful",
    });
    Operation::new(TAG, "post", "/authenticate/totp", "authenticate_totp")
        .described(
            "Sign in with a second factor",
            "The second step of a sign-in. The first step, `/authenticate`, answers 401 `mfa_required` with the \
             `mfa_token`. The code is the one that the authenticator app shows, or a recovery code. Each code opens \
             one session. Wrong codes are limited as wrong passwords are.",
        )
        .body(JSON, "SecondStep", true, &json!({"mfa_token": MFA_TOKEN, "code": CODE}))
        .answers(Success::json("Both tokens of a new session.", "Tokens", example))
        .fails(general())
        .fails(of_json([("mfa_token", Field::Missing.text().err().unwrap_or_default()), ("code", wrong_code())]))
        .fails(of_writes())
        .fails([Problem::INVALID_MFA_TOKEN, Problem::INVALID_CODE, Problem::NO_SIGNING_KEY, throttled()])
}

fn start_totp() -> Operation {
    let example = json!({
        "secret": TOTP_SECRET,
        "otpauth_url": format!("otpauth://totp/auth.example.com:ada%40example.com?secret={TOTP_SECRET}&issuer=auth.example.com"),
        "expires_in": 600,
        "result": "Confirm the second factor with a code of the app",
    });
    let started = Success::json("The secret, which the server never shows again.", "TotpStarted", example)
        .status(StatusCode::CREATED)
        .shared_header("Access-Token");
    Operation::new(TAG, "post", "/user/totp", "start_totp")
        .described(
            "Start to set up a second factor",
            "Makes a secret for an authenticator app (RFC 6238: SHA-1, 6 digits, 30 seconds). Show `otpauth_url` as a \
             QR code. The second factor counts only after the confirmation with a code. A repetition replaces the \
             secret. Unless the server has `EMAIL_VERIFICATION=off`, the email must be verified.",
        )
        .protected()
        .body(JSON, "Confirmation", true, &json!({"password": PASSWORD}))
        .answers(started)
        .fails(general())
        .fails(of_json([("password", wrong_password())]))
        .fails(of_protected())
        .fails([Problem::WRONG_PASSWORD, Problem::EMAIL_NOT_VERIFIED, Problem::TOTP_ALREADY_ENABLED])
        .fails([Problem::HASHING_UNAVAILABLE, throttled()])
}

fn confirm_totp() -> Operation {
    let example = json!({
        "recovery_codes": [RECOVERY_CODE],
        "result": "Second factor enabled, keep the recovery codes",
    });
    let confirmed = Success::json("The recovery codes, which the server never shows again.", "TotpConfirmed", example);
    Operation::new(TAG, "post", "/user/totp/confirm", "confirm_totp")
        .described(
            "Confirm the second factor",
            "Enables the second factor, if the code is right. From now on, every sign-in needs a code. The sessions of \
             the user go on. Each of the recovery codes replaces one code of the app.",
        )
        .protected()
        .body(JSON, "Code", true, &json!({"code": CODE}))
        .answers(confirmed.shared_header("Access-Token"))
        .fails(general())
        .fails(of_json([("code", wrong_code())]))
        .fails(of_protected())
        .fails([Problem::WRONG_CODE, Problem::TOTP_NOT_STARTED, Problem::TOTP_ALREADY_ENABLED, throttled()])
}

fn remove_totp() -> Operation {
    let removed =
        Success::json("The account has no second factor.", "TotpRemoved", json!({"result": "Second factor removed"}));
    Operation::new(TAG, "delete", "/user/totp", "remove_totp")
        .described(
            "Remove the second factor",
            "Needs the password, and a code of the app or a recovery code. The sessions of the user go on.",
        )
        .protected()
        .body(JSON, "PasswordAndCode", true, &json!({"password": PASSWORD, "code": CODE}))
        .answers(removed.shared_header("Access-Token"))
        .fails(general())
        .fails(of_json([("password", wrong_password()), ("code", wrong_code())]))
        .fails(of_protected())
        .fails([Problem::WRONG_PASSWORD, Problem::WRONG_CODE, Problem::TOTP_NOT_ENABLED])
        .fails([Problem::HASHING_UNAVAILABLE, throttled()])
}

/// The message for a text that has the form of no code.
fn wrong_code() -> FieldProblem {
    Field::Text(String::new()).code().err().unwrap_or_default()
}
