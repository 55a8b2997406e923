//! Operations of tokens.

use auth_service_records::error::{Error, MfaChallenge};
use serde_json::json;

use super::{
    accounts::{JSON, wrong_email, wrong_password},
    operation::Operation,
    parts::{ACCESS_TOKEN, EMAIL, MFA_TOKEN, PASSWORD, REFRESH_TOKEN},
    problems::{general, of_json, of_protected, of_writes, throttled},
    success::Success,
};
use crate::{
    config::{Config, EmailVerification, TokenRemoval},
    http::{extract::field::Field, problem_response::Problem},
};

pub(super) const TAG: &str = "Tokens";

pub(super) fn operations(config: &Config) -> Vec<Operation> {
    let refresh = refresh_access_token(config);
    vec![
        authenticate(config, "refresh_access_token_by_get").old_twin(),
        authenticate(config, "refresh_access_token"),
        refresh.old_twin(),
        refresh,
        remove_access_token(config.token_removal),
    ]
}

/// `refresh_id` is the operation id of the refresh by the same method.
fn authenticate(config: &Config, refresh_id: &str) -> Operation {
    let longest = config.session_max_age_seconds.unwrap_or(u64::MAX);
    let example = json!({
        "access_token": ACCESS_TOKEN,
        "refresh_token": REFRESH_TOKEN,
        "token_type": "Bearer",
        "expires_in": config.access_seconds.min(longest),
        "refresh_expires_in": config.refresh_seconds.min(longest),
        "result": "Authentication successful",
    });
    let signed_in = Success::json("Both tokens of a new session.", "Tokens", example);
    Operation::new(TAG, "post", "/authenticate", "authenticate")
        .described(
            "Sign in",
            "Every sign-in opens a new session. For an account with a second factor, the answer is 401 `mfa_required`. \
             Its `mfa_token` and a code then open the session at `/authenticate/totp`.",
        )
        .body(JSON, "Credentials", true, &json!({"email": EMAIL, "password": PASSWORD}))
        .answers(linked(signed_in, config.token_removal, refresh_id))
        .fails(general())
        .fails(of_json([("email", wrong_email()), ("password", wrong_password())]))
        .fails(of_writes())
        .fails([Problem::INVALID_CREDENTIALS, Problem::HASHING_UNAVAILABLE, Problem::NO_SIGNING_KEY, throttled()])
        .fails([mfa_required()])
        .fails(requires_verification(config).then_some(Problem::EMAIL_NOT_VERIFIED))
}

fn mfa_required() -> Problem {
    Error::MfaRequired(MfaChallenge { token: MFA_TOKEN.to_owned(), expires_in: 300 }).into()
}

fn requires_verification(config: &Config) -> bool {
    config.mail.as_ref().is_some_and(|mail| mail.verification == EmailVerification::Required)
}

/// Adds links to the operations that take one of the two tokens.
fn linked(signed_in: Success, removal: TokenRemoval, refresh_id: &str) -> Success {
    let bearer = "Send `access_token` as the bearer token.";
    let access_token = json!({"requestBody": {"token": "$response.body#/access_token"}});
    let any_token = json!({"requestBody": {"token": "$response.body#/refresh_token"}});
    let refresh_token = json!({"requestBody": {"refresh_token": "$response.body#/refresh_token"}});
    let password = json!({"requestBody": {"password": "$request.body#/password"}});
    let email = json!({"requestBody": {"email": "$request.body#/email"}});
    let signed_in = signed_in
        .link("current_user", bearer, json!({}))
        .link(refresh_id, "The refresh token gives a new access token.", refresh_token.clone())
        .link("introspect", "Tells a service to whom the access token belongs.", access_token)
        .link("revoke", "Ends the session.", any_token)
        .link("sessions", bearer, json!({}))
        .link("sign_out", "Ends the session.", refresh_token)
        .link("delete_user", bearer, password);
    match removal {
        TokenRemoval::Open => signed_in.link("remove_access_token", "The email is enough.", email),
        TokenRemoval::Owner => signed_in.link("remove_access_token", bearer, json!({})),
        TokenRemoval::Off => signed_in,
    }
}

fn refresh_access_token(config: &Config) -> Operation {
    let mut example = json!({
        "access_token": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": config.access_seconds,
        "result": "Access token refreshed successfully",
    });
    let description = if config.rotation {
        example["refresh_token"] = REFRESH_TOKEN.into();
        example["refresh_expires_in"] = config.refresh_seconds.into();
        "Spends the refresh token, and returns its successor. A spent token counts as stolen if a client sends it \
         after its successor was used and after a short grace period. Then the session ends."
    } else {
        "The refresh token stays the same, and its lifetime is not extended."
    };
    let refreshed = Success::json("A new access token.", "RefreshedTokens", example).link(
        "current_user",
        "Send `access_token` as the bearer token.",
        json!({}),
    );
    Operation::new(TAG, "post", "/refresh-access-token", "refresh_access_token")
        .described("Get a new access token", description)
        .body(JSON, "Refresh", true, &json!({"refresh_token": REFRESH_TOKEN}))
        .answers(refreshed)
        .fails(general())
        .fails(of_json([("refresh_token", Field::Missing.text().err().unwrap_or_default())]))
        .fails(of_writes())
        .fails([Problem::TOKEN_INVALID, Problem::TOKEN_EXPIRED, Problem::TOKEN_REUSED])
        .fails([Problem::REFRESH_TOKEN_NOT_FOUND, Problem::NO_SIGNING_KEY])
}

fn remove_access_token(removal: TokenRemoval) -> Operation {
    const PATH: &str = "/access-token";
    let operation = Operation::new(TAG, "delete", PATH, "remove_access_token")
        .body(JSON, "Owner", false, &json!({"email": EMAIL}))
        .answers(Success::done("All tokens of the user are removed, on every replica.", "Access token removed"))
        .fails(general())
        .fails(of_json([("email", wrong_email())]))
        .fails(of_protected());
    match removal {
        TokenRemoval::Off => Operation::switched_off(PATH),
        TokenRemoval::Open => operation
            .security(json!([{"accessToken": []}, {"accessToken": [], "refreshToken": []}, {}]))
            .described(
                "Remove all tokens of a user",
                "The email in the body is enough. With an access token, the body is not necessary: then the server \
                 removes the tokens of the owner.",
            )
            .fails([Problem::TOKEN_NOT_FOUND, throttled()]),
        TokenRemoval::Owner => operation
            .described("Remove all of your tokens", "The body is not necessary. Its email must be that of the owner.")
            .protected()
            .fails([Problem::NOT_OWNER]),
    }
}
