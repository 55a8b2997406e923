//! The schemas of requests and errors.

use std::collections::BTreeSet;

use auth_service_password::PASSWORD_MAX_BYTES;
use serde_json::{Map, Value, json};

use super::{
    answers,
    parts::{EMAIL, PASSWORD, described, object, reference},
};
use crate::config::{Config, PasswordSettings};

/// The pattern of HTML for email addresses, with ASCII white space around the address.
const EMAIL_PATTERN: &str = concat!(
    r"^[ \t\n\f\r]*[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@",
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*[ \t\n\f\r]*$"
);

/// All schemas. `codes` are the codes of all errors.
pub(super) fn schemas(config: &Config, codes: &BTreeSet<&'static str>) -> Map<String, Value> {
    let all = [errors(codes), fields(&config.passwords), requests(), answers::schemas(config)];
    all.into_iter().flat_map(|schemas| schemas.as_object().cloned().unwrap_or_default()).collect()
}

fn errors(codes: &BTreeSet<&'static str>) -> Value {
    let mut error = object(&json!({
        "result": {"const": "Error occurred"},
        "error": {"type": "string", "description": "A sentence for people that says what to do."},
        "code": {"type": "string", "enum": codes, "description": "The name of the error, for programs."},
    }));
    error["properties"]["fields"] = json!({
        "type": "array",
        "minItems": 1,
        "items": reference("FieldError"),
        "description": "All wrong fields. Only `validation_failed` has this list.",
    });
    error["properties"]["mfa_token"] = mfa_token("Only `mfa_required` has this token.");
    error["properties"]["mfa_expires_in"] = json!({
        "type": "integer",
        "description": "The lifetime of `mfa_token`, in seconds.",
    });
    let message = "What to correct, as the rest of a sentence that starts with the name of the field.";
    let field_error = object(&json!({
        "field": {"type": "string", "description": "The name of the field."},
        "message": {"type": "string", "description": message},
    }));
    json!({"Error": error, "FieldError": field_error})
}

fn fields(passwords: &PasswordSettings) -> Value {
    let email = "An email address by the rule of HTML, with at most 64 characters before the `@`. The server ignores \
                 ASCII white space around the address, and the case of ASCII letters. The domain may be international, \
                 such as `bücher.example`. The pattern has only the ASCII form of such a domain.";
    let mut new_password = format!("Counted in Unicode code points. At most {PASSWORD_MAX_BYTES} bytes of UTF-8.");
    if passwords.rules.min_score > 0 {
        new_password += " The server refuses a password that is too easy to guess.";
    }
    if passwords.rules.breached.is_some() {
        new_password += " The server refuses a password that has leaked.";
    }
    let password = format!("At most {PASSWORD_MAX_BYTES} bytes of UTF-8.");
    json!({
        "Email": {
            "type": "string",
            "maxLength": 254,
            "pattern": EMAIL_PATTERN,
            "description": email,
            "examples": [EMAIL],
        },
        "NewPassword": {
            "type": "string",
            "format": "password",
            "minLength": passwords.min_length.max(1),
            "maxLength": PASSWORD_MAX_BYTES,
            "description": new_password,
            "examples": [PASSWORD],
        },
        "Password": {
            "type": "string",
            "format": "password",
            "minLength": 1,
            "maxLength": PASSWORD_MAX_BYTES,
            "description": password,
            "examples": [PASSWORD],
        },
    })
}

fn mfa_token(description: &str) -> Value {
    described(&format!("The token for the second step of the sign-in, `/authenticate/totp`. {description}"))
}

/// The server ignores blanks, hyphens and the case of letters.
const CODE_PATTERN: &str = "^([0-9]{6}|[A-Z2-7]{4}(-[A-Z2-7]{4}){3})$";

fn code() -> Value {
    json!({
        "type": "string",
        "pattern": CODE_PATTERN,
        "description": "A code of the authenticator app, or a recovery code. The server ignores blanks, hyphens and \
            the case of letters.",
    })
}

fn mail_token() -> Value {
    described("The text after `token=` in the link of a mail.")
}

fn requests() -> Value {
    let refresh_token = described("The refresh token of the session.");
    let hint = described("Has no effect, because the server recognizes both kinds of token.");
    let mut form = object(&json!({"token": {"type": "string", "minLength": 1, "description": "The token."}}));
    form["properties"]["token_type_hint"] = hint;
    json!({
        "SignUp": object(&json!({"email": reference("Email"), "password": reference("NewPassword")})),
        "Credentials": object(&json!({"email": reference("Email"), "password": reference("Password")})),
        "PasswordChange": object(&json!({
            "current_password": reference("Password"),
            "new_password": reference("NewPassword"),
        })),
        "Confirmation": object(&json!({"password": reference("Password")})),
        "Code": object(&json!({"code": code()})),
        "PasswordAndCode": object(&json!({"password": reference("Password"), "code": code()})),
        "SecondStep": object(&json!({"mfa_token": mfa_token(""), "code": code()})),
        "ForgottenPassword": object(&json!({"email": reference("Email")})),
        "PasswordReset": object(&json!({"token": mail_token(), "new_password": reference("NewPassword")})),
        "MailToken": object(&json!({"token": mail_token()})),
        "EmailChange": object(&json!({"email": reference("Email"), "password": reference("Password")})),
        "Owner": object(&json!({"email": reference("Email")})),
        "Refresh": object(&json!({"refresh_token": refresh_token})),
        "SignOut": {"type": "object", "properties": {"refresh_token": refresh_token}},
        "Token": form,
    })
}
