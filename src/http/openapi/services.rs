//! Operations for back-end services.

use auth_service_records::error::{Error, Outage};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{
    answers::shows_email_verified,
    operation::Operation,
    parts::{ACCESS_TOKEN, EMAIL, ID, USER_ID},
    problems::{general, of_form, of_reads, of_resource_servers, of_writes},
    success::Success,
};
use crate::{config::Config, http::problem_response::Problem};

pub(super) const TAG: &str = "Services";
const FORM: &str = "application/x-www-form-urlencoded";
const CURSOR: &str = "1795852800000-0-1";

pub(super) fn operations(config: &Config) -> Vec<Operation> {
    vec![introspect(config), revoke(), revocations()]
}

fn introspect(config: &Config) -> Operation {
    Operation::new(TAG, "post", "/introspect", "introspect")
        .described(
            "Check an access token (RFC 7662)",
            "Tells whether a token is a live access token. The server asks the store each time, so no token is active \
             after its removal.",
        )
        .security(credentials())
        .body(FORM, "Token", true, &json!({"token": ACCESS_TOKEN}))
        .answers(Success::json("Whether the token is active.", "Introspection", active(config)))
        .fails(general())
        .fails(of_form())
        .fails(of_resource_servers())
        .fails(of_reads())
}

fn active(config: &Config) -> Value {
    let expires_at = 1_795_903_200 + config.access_seconds;
    let mut active = json!({
        "active": true,
        "iss": config.parties.issuer,
        "aud": config.parties.audience,
        "sub": USER_ID,
        "sid": ID,
        "eid": "m9_UlmT_Ez7szn1HrsWl5Z",
        "jti": "b7Wn3sT0cK5hR2yQ8mJ1xg",
        "email": EMAIL,
        "iat": 1_795_903_200,
        "exp": expires_at,
        "amr": ["pwd"],
        "auth_time": 1_795_903_200,
        "client_id": "auth-service",
        "token_type": "Bearer",
    });
    if shows_email_verified(config) {
        active["email_verified"] = true.into();
    }
    active
}

fn revoke() -> Operation {
    Operation::new(TAG, "post", "/revoke", "revoke")
        .described(
            "End the session of a token (RFC 7009)",
            "The token is an access token or a refresh token, and may have expired. For every other text, the answer \
             is the same. Credentials are optional. Wrong credentials are refused.",
        )
        .security(json!([{"resourceServer": []}, {}]))
        .body(FORM, "Token", true, &json!({"token": ACCESS_TOKEN}))
        .answers(Success::done("The session of the token has ended.", "Token revoked"))
        .fails(general())
        .fails(of_form())
        .fails(of_resource_servers())
        .fails(of_writes())
}

fn revocations() -> Operation {
    let example = json!({"cursor": CURSOR, "age_ms": 120, "reset": false, "revoked": ["Zx3Vn0pHq9c2tL8yWm4KdA"]});
    let feed = Success::json("The revoked ids.", "Revocations", example).link(
        "revocations",
        "The ids that are revoked after this answer.",
        json!({"parameters": {"after": "$response.body#/cursor"}}),
    );
    let unchanged = Success::empty(
        StatusCode::NOT_MODIFIED,
        "No id was revoked since the cursor in `after`, whose tag is in `If-None-Match`.",
    );
    Operation::new(TAG, "get", "/revocations", "revocations")
        .described(
            "Follow the revocations",
            "Lists the ids that were revoked recently, so that a service can verify tokens without a request for each \
             token. Poll twice a second. The server answers from memory.",
        )
        .query(
            "after",
            "The `cursor` of an earlier answer. Without a cursor that the server knows, the answer is the whole list.",
            &json!({"type": "string"}),
            CURSOR,
        )
        .request_header("If-None-Match")
        .security(credentials())
        .answers(with_age(feed))
        .answers(with_age(unchanged))
        .fails(general())
        .fails(of_resource_servers())
        .fails([Problem::from(Error::Unavailable(Outage::Unreachable))])
}

fn with_age(answer: Success) -> Success {
    let description = "The same as `age_ms` in the body. An answer with status 304 has no body.";
    let schema = json!({"type": "integer", "minimum": 0});
    answer.shared_header("ETag").header("Revocations-Age-Ms", description, &schema, 120)
}

fn credentials() -> Value {
    json!([{"resourceServer": []}])
}
